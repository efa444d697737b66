//! The `blindroute` program: see the library, which a process of another kind can run too.

use blindroute_console::allocator::{PROGRAM_ALLOCATOR, ProgramAllocator};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: ProgramAllocator = PROGRAM_ALLOCATOR;

fn main() -> ExitCode {
    ExitCode::from(blindroute_cli::main(std::env::args_os().collect()))
}
