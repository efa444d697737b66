//! The allocator of the programs.

use blindroute_protocol::WipingAllocator;
use mimalloc::MiMalloc;

/// The type of [`PROGRAM_ALLOCATOR`].
pub type ProgramAllocator = WipingAllocator<MiMalloc>;

/// The allocator that each program installs.
///
/// Prepared material is allocated in one thread and freed in another, in pieces of megabytes: the system's allocator keeps
/// nearly twice the memory for it. Small blocks are wiped when they are freed, because they may be copies of secrets that
/// libraries make.
pub const PROGRAM_ALLOCATOR: ProgramAllocator = WipingAllocator::new(MiMalloc);
