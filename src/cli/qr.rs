//! An address as a picture that the camera of a telephone reads.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Black on white, whatever the colours of the terminal are: cameras expect it.
const BLACK_ON_WHITE: &str = "\x1b[30;107m";
const AS_BEFORE: &str = "\x1b[0m";

/// The lines of the picture, if it fits into `columns`. Without `colour`, it is right on a dark terminal and inverted
/// on a light one, which most cameras read too.
pub(super) fn picture(text: &str, columns: usize, colour: bool) -> Option<String> {
    // A screen has no stains: the least correction makes the smallest picture.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut renderer = code.render::<Dense1x2>();
    if !colour {
        renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
    }
    let picture = renderer.build();
    let width = picture.lines().map(|line| line.chars().count()).max()?;
    if width > columns {
        return None;
    }
    let line = |line: &str| match colour {
        true => format!("{BLACK_ON_WHITE}{line}{AS_BEFORE}\n"),
        false => format!("{line}\n"),
    };
    Some(picture.lines().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://example.com/device?user_code=WDJB-MJHT";

    #[test]
    fn a_picture_that_does_not_fit_is_left_out() {
        let picture_at = |columns| picture(ADDRESS, columns, false);
        let width = picture_at(200).unwrap().lines().next().unwrap().chars().count();

        assert!(width < 45, "{width}");
        assert!(picture_at(width).is_some());
        assert!(picture_at(width - 1).is_none());
        assert!(picture(&"a".repeat(5000), 10_000, false).is_none());
    }

    #[test]
    fn without_colours_the_light_parts_are_drawn() {
        let plain = picture(ADDRESS, 80, false).unwrap();
        let coloured = picture(ADDRESS, 80, true).unwrap();

        // The border of a picture is light.
        assert!(plain.starts_with('\u{2588}'), "{plain}");
        assert!(!plain.contains('\x1b'));
        assert!(coloured.lines().all(|line| line.starts_with(BLACK_ON_WHITE) && line.ends_with(AS_BEFORE)));
    }
}
