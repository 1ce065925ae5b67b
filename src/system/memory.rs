//! Memory that is there before it is needed.

use std::hint::black_box;

/// Whether so many more bytes can be had at this moment.
///
/// A program that gets no memory ends at once, so whoever cannot afford that asks beforehand. Where
/// the system promises more memory than it has, only a limit of this process is noticed.
pub fn has_memory(bytes: usize) -> bool {
    let mut room = Vec::<u8>::new();
    let is_there = room.try_reserve_exact(bytes).is_ok();
    // An allocation that nobody looks at could be left out.
    black_box(&room);
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_a_byte_and_none_for_all_addresses() {
        assert!(has_memory(1));
        assert!(!has_memory(isize::MAX as usize));
    }
}
