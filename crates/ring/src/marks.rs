//! Marks of memory for Valgrind's Memcheck, which then follows secrets through the compiled code.
//!
//! A test marks secrets as "undefined" ([`secret`]) and runs a party under Memcheck, which reports every branch and every address
//! that depends on them. Code marks as "defined" what is no secret any more ([`public`]): a value under a mask that nothing
//! else has. That happens where such a value is made, so the code that is examined is the code that is shipped.
//!
//! Outside Valgrind a mark is six instructions that change nothing (it rotates a register by 128 bits in four steps, and exchanges a
//! register with itself). On other processors than x86-64 there are no marks. **Source** Langley, ctgrind, 2010; the
//! instructions and numbers are those of "client requests" in Valgrind's manual and of its Memcheck.
#![allow(unsafe_code)]

/// Requests to Valgrind.
#[derive(Clone, Copy)]
enum Request {
    RunningOnValgrind = 0x1001,
    CountErrors = 0x1201,
    // 'M' and 'C' in the high bytes name Memcheck.
    MakeUndefined = 0x4D43_0001,
    MakeDefined = 0x4D43_0002,
}

/// Marks the words as secret: Memcheck reports what branches on them or takes them for an address.
pub fn secret<T>(words: &[T]) {
    mark(Request::MakeUndefined, words);
}

/// Marks the words as public: they tell nothing that their reader may not know.
pub fn public<T>(words: &[T]) {
    mark(Request::MakeDefined, words);
}

/// Whether this process runs under Valgrind.
#[must_use]
pub fn watched() -> bool {
    request(Request::RunningOnValgrind, [0; 5]) != 0
}

/// How many errors Memcheck has reported in this process so far; 0 outside Valgrind.
#[must_use]
pub fn reports() -> usize {
    request(Request::CountErrors, [0; 5])
}

fn mark<T>(what: Request, words: &[T]) {
    request(what, [words.as_ptr() as usize, size_of_val(words), 0, 0, 0]);
}

/// Asks Valgrind, whose answer to whom it does not run is 0.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn request(what: Request, arguments: [usize; 5]) -> usize {
    let [a, b, c, d, e] = arguments;
    let message = [what as usize, a, b, c, d, e];
    let mut answer = 0_usize;
    // SAFETY: `rdi` is rotated by 128 bits altogether, so it is what it was, and `rbx` is exchanged with itself. Under Valgrind the
    // sequence reads `message`, which lives until here, and writes `rdx`; the memory that the message names keeps its contents.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") message.as_ptr(),
            inout("rdx") answer,
            options(nostack),
        );
    }
    answer
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn request(what: Request, arguments: [usize; 5]) -> usize {
    let _ = (what, arguments);
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_change_nothing() {
        let words = [0x0123_4567_89AB_CDEF_u64, u64::MAX, 7];
        let before = words;
        secret(&words);
        public(&words);
        assert_eq!(words, before);
        if !watched() {
            assert_eq!(reports(), 0);
        }
    }
}
