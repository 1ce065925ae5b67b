//! Memory for one key: not swapped out, not in a core dump, wiped at the end.
//!
//! Best effort. A system may refuse to lock memory; then a line in the log says so, and the key is
//! held all the same. The copies that are made to send it are wiped, but not locked.

use std::ffi::c_void;

use rustix::mm::{mlock, munlock};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroize;

/// The unit in which memory is locked: the page of most systems. With larger pages, the neighbours
/// are locked too, which does no harm.
const PAGE: usize = 4096;

#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// One secret text in a page of its own.
pub(super) struct Locked {
    page: Box<Page>,
    length: usize,
}

impl Locked {
    /// Moves a copy of `secret` into locked memory; none if it is longer than a page.
    pub(super) fn new(secret: &SecretString) -> Option<Self> {
        let mut page = Box::new(Page([0; PAGE]));
        lock(&mut page);
        let bytes = secret.expose_secret().as_bytes();
        page.0.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { page, length: bytes.len() })
    }

    /// A copy to be sent.
    pub(super) fn copy(&self) -> SecretString {
        let text = std::str::from_utf8(&self.page.0[..self.length]).expect("it came from a text");
        SecretString::from(text)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.page.0.zeroize();
        unlock(&mut self.page);
    }
}

#[allow(unsafe_code, reason = "locking memory has no safe interface")]
fn lock(page: &mut Page) {
    let start: *mut c_void = page.0.as_mut_ptr().cast();
    // SAFETY: `start` and `PAGE` are exactly the memory of `page`, which we hold exclusively;
    // locking does not change what is in it.
    if let Err(error) = unsafe { mlock(start, PAGE) } {
        log::warn!("the memory of the key cannot be locked and may be swapped out: {error}");
    }
    #[cfg(target_os = "linux")]
    // SAFETY: as above; the advice concerns core dumps alone.
    if let Err(error) = unsafe { rustix::mm::madvise(start, PAGE, rustix::mm::Advice::LinuxDontDump) } {
        log::warn!("the memory of the key cannot be kept out of core dumps: {error}");
    }
}

#[allow(unsafe_code, reason = "locking memory has no safe interface")]
fn unlock(page: &mut Page) {
    let start: *mut c_void = page.0.as_mut_ptr().cast();
    // SAFETY: as in `lock`. That it was never locked is not an error worth telling.
    let _ = unsafe { munlock(start, PAGE) };
    #[cfg(target_os = "linux")]
    // SAFETY: as in `lock`.
    let _ = unsafe { rustix::mm::madvise(start, PAGE, rustix::mm::Advice::LinuxDoDump) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out() {
        let locked = Locked::new(&SecretString::from("AGE-SECRET-KEY-1…\n")).unwrap();

        assert_eq!(locked.copy().expose_secret(), "AGE-SECRET-KEY-1…\n");
        assert_eq!((&raw const locked.page.0).addr() % PAGE, 0);
    }

    #[test]
    fn more_than_a_page_does_not_fit() {
        assert!(Locked::new(&SecretString::from("x".repeat(PAGE))).is_some());
        assert!(Locked::new(&SecretString::from("x".repeat(PAGE + 1))).is_none());
    }
}
