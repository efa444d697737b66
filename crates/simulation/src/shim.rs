//! What a party's C library is told to do wrong: syncs that fail, and a clock that is ahead.
//!
//! A library that is loaded before all others answers `fsync`, `fdatasync` and `clock_gettime`. Two files in the party's folder of
//! controls decide, so a process that runs is reached too: `sync` while it exists, and the number of seconds in `skew`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the library finds the folder of controls.
pub(crate) const CONTROLS: &str = "SIMULATION_CONTROLS";

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *path(char *out, const char *name) {
    const char *folder = getenv("SIMULATION_CONTROLS");
    if (!folder || strlen(folder) > 900) return NULL;
    snprintf(out, 1000, "%s/%s", folder, name);
    return out;
}
static int fails(void) {
    char at[1000];
    return path(at, "sync") && access(at, F_OK) == 0;
}
int fsync(int file) {
    if (fails()) { errno = EIO; return -1; }
    return syscall(SYS_fsync, file);
}
int fdatasync(int file) {
    if (fails()) { errno = EIO; return -1; }
    return syscall(SYS_fdatasync, file);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        char at[1000];
        FILE *file = path(at, "skew") ? fopen(at, "r") : NULL;
        long seconds = 0;
        if (file) {
            if (fscanf(file, "%ld", &seconds) == 1) now->tv_sec += seconds;
            fclose(file);
        }
    }
    return result;
}
"#;

/// Compiles the library. `None` where there is no C compiler: these faults are left out then.
pub(crate) fn compile(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, SOURCE).ok()?;
    let compiled = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    compiled.is_ok_and(|status| status.success()).then_some(library)
}
