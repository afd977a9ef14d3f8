//! The hbs2 binary: becomes the program by whose name it was called.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    ExitCode::from(hbs2::run(&args, &mut hbs2::voice::Voice::of_process()))
}
