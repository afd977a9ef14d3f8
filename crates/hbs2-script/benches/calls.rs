//! How fast a program is evaluated: calls in a second, printed.

use std::time::Instant;

use hbs2_script::{Limits, Machine, words};

/// Calls of each program.
const CALLS: u32 = 1_000_000;

fn main() {
    let programs = [
        ("word", "repeat 1000000 (lambda () 1)"),
        ("function", "iterate (fn 1 (inc _1)) (replicate 500000 1)"),
        ("condition", "iterate (lambda (x) (if (gt? x 0) x (dec x))) (replicate 330000 1)"),
    ];
    for (name, program) in programs {
        let limits = Limits { steps: u64::MAX, bytes: 1 << 30, ..Limits::default() };
        let mut machine = Machine::new((), words::all(), limits);
        let start = Instant::now();
        machine.run("bench", program).expect("the programs of the bench are right");
        let seconds = start.elapsed().as_secs_f64();
        println!("{name}: {CALLS} calls in {seconds:.3} s, {:.1} million in a second", 1.0 / seconds);
    }
}
