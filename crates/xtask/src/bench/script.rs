//! Programs of a million calls, through `hbs2-cli`; its start counts.

use anyhow::{Result, ensure};

use super::figures::{Bar, Row, median};
use super::{World, watched};

/// Programs with what they print: a million calls each, as (name, program with `N` for its turns, turns, answer).
const PROGRAMS: [(&str, &str, usize); 3] = [
    ("a function again and again", "begin (repeat N (lambda () 1)) (println done)", 1_000_000),
    (
        "a function and a word for each member of a list",
        "begin (iterate (fn 1 (inc _1)) (replicate N 1)) (println done)",
        500_000,
    ),
    (
        "a function, a word and a choice for each member",
        "begin (iterate (lambda (x) (if (gt? x 0) x (dec x))) (replicate N 1)) (println done)",
        333_334,
    ),
];

pub(crate) fn run(world: &World) -> Result<Vec<Row>> {
    let home = world.home("script")?;
    let row = |(name, program, turns): (&str, &str, usize)| {
        let turns = if world.quick { turns / 100 } else { turns };
        let program = program.replace('N', &turns.to_string());
        let (mut seconds, mut memory) = (Vec::new(), 0.0_f64);
        for _ in 0..world.rounds {
            let (done, mib) = watched(home.call("hbs2-cli").arg(&program))?;
            ensure!(done.text() == "done", "{program} says {}", done.text());
            seconds.push(done.took.as_secs_f64());
            memory = memory.max(mib);
        }
        let time = Row::new(format!("a million calls: {name}"), median(&seconds), "s", Bar::AtMost(1.0));
        Ok([time, Row::new("memory of it", memory, "MiB", Bar::None)])
    };
    let rows: Vec<[Row; 2]> = PROGRAMS.into_iter().map(row).collect::<Result<_>>()?;
    Ok(rows.into_iter().flatten().collect())
}
