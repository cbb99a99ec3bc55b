//! The marks of a cause: colour, pattern and vertical position, so that causes can be distinguished
//! without colours and by colour-blind readers.

use maud::{Markup, PreEscaped, html};

use crate::{
    history::PastSegment,
    outage::{Cause, Party},
    probe::{Family, PerFamily},
};

/// The drawn causes in the order of the legend, each with its party.
pub(super) const DRAWN: [(Cause, Party); 7] = [
    (Cause::Isp, Party::Provider),
    (Cause::Dns, Party::Provider),
    (Cause::Gateway, Party::Yours),
    (Cause::Link, Party::Yours),
    (Cause::Firewall, Party::Yours),
    (Cause::Vpn, Party::Yours),
    (Cause::CaptivePortal, Party::Other),
];

/// The patterns that every chart on the page refers to. The colours are Okabe and Ito's, which remain
/// distinct with every kind of colour blindness.
pub(super) fn definitions() -> Markup {
    PreEscaped(
        concat!(
            r#"<svg class="defs" width="0" height="0" aria-hidden="true"><defs>"#,
            r#"<pattern id="p-dns" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" class="c-dns"/><path d="M0 0l4 4M4 0l-4 4" class="l"/></pattern>"#,
            r#"<pattern id="p-gateway" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" class="c-gateway"/><path d="M-1 1l2-2M0 4l4-4M3 5l2-2" class="l"/></pattern>"#,
            r#"<pattern id="p-link" width="3" height="3" patternUnits="userSpaceOnUse"><rect width="3" height="3" class="c-link"/><path d="M1 0v3" class="d"/></pattern>"#,
            r#"<pattern id="p-firewall" width="6" height="4" patternUnits="userSpaceOnUse"><rect width="6" height="4" class="c-firewall"/><path d="M0 .5h6M0 2.5h6M1.5 .5v2M4.5 2.5v2" class="l"/></pattern>"#,
            r#"<pattern id="p-vpn" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" class="c-vpn"/><circle cx="2" cy="2" r="1" class="dot"/></pattern>"#,
            r#"<pattern id="p-captive_portal" width="3" height="3" patternUnits="userSpaceOnUse"><rect width="3" height="3" class="c-captive_portal"/><path d="M0 1h3" class="l"/></pattern>"#,
            r#"<pattern id="p-degraded" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" class="c-degraded"/><circle cx="1" cy="1" r=".7" class="dot"/></pattern>"#,
            r#"<pattern id="p-gap" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" class="c-gap"/><path d="M-1 4l2 2M0 0l5 5M4-1l2 2" class="g"/></pattern>"#,
            "</defs></svg>"
        )
        .to_owned(),
    )
}

/// Offset and height of a party's mark in a row of `height`: the provider's fills the row, the user's
/// is at the bottom, others' at the top.
pub(super) fn band_of(party: Party, height: u32) -> (u32, u32) {
    let part = height * 4 / 7;
    match party {
        Party::Provider => (0, height),
        Party::Yours => (height - part, part),
        Party::Other => (0, part),
    }
}

/// The family that was down alone in this segment.
pub(super) fn family_of(phase: &PastSegment) -> Option<Family> {
    Family::BOTH.into_iter().find(|family| phase.is_down((*family).into()))
}

/// Offset and height of the mark for one family alone in a row of `height`: a thin bar, IPv4 above
/// IPv6.
pub(super) fn band_of_family(family: Family, height: u32) -> (u32, u32) {
    let part = height * 2 / 7;
    match family {
        Family::Ipv4 => (height / 7, part),
        Family::Ipv6 => (height * 4 / 7, part),
    }
}

/// The legend of the marks.
pub(super) fn legend(with_degraded: bool, with_family: PerFamily<bool>) -> Markup {
    html! {
        ul.legend {
            @for (cause, party) in DRAWN {
                li { (swatch(cause.as_str(), band_of(party, 14))) (super::words::short_cause(cause)) }
            }
            @for (family, shown) in with_family.iter() {
                @if *shown { li { (swatch("family", band_of_family(family, 14))) (family) " only" } }
            }
            @if with_degraded { li { (swatch("degraded", (0, 14))) "degraded, no downtime" } }
            li { (swatch("gap", (0, 14))) "not monitored" }
            li { (swatch("monitored", (0, 14))) "working" }
        }
    }
}

fn swatch(class: &str, (y, height): (u32, u32)) -> Markup {
    html! {
        svg.swatch viewBox="0 0 22 14" width="22" height="14" aria-hidden="true" {
            rect.monitored width="22" height="14" {}
            rect class=(class) y=(y) width="22" height=(height) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: &str = include_str!("style.css");

    /// The `fill` of a class in the style sheet.
    fn fill_of(class: &str) -> Option<&'static str> {
        STYLE.split('}').find_map(|rule| {
            let (classes, style) = rule.rsplit_once('{')?;
            let is_of_class = classes.split(',').any(|one| one.trim() == format!(".{class}"));
            style.strip_prefix("fill:").filter(|_| is_of_class)
        })
    }

    #[test]
    fn the_legend_has_every_cause_of_downtime() {
        let drawn = DRAWN.map(|(cause, _)| cause);
        for cause in Cause::ALL {
            assert_eq!(drawn.contains(&cause), cause.is_downtime(), "{cause} in DRAWN");
        }
        for (cause, party) in DRAWN {
            assert_eq!(cause.party(Party::Provider), Some(party), "{cause} in DRAWN");
        }
    }

    #[test]
    fn every_cause_that_is_drawn_has_a_colour() {
        let definitions = definitions().into_string();
        // These two have no mark: a connection that works, and segments that were merged.
        let drawn = Cause::ALL.into_iter().filter(|it| !matches!(it, Cause::Up | Cause::Unstable));
        for cause in drawn {
            let fill = fill_of(cause.as_str());
            let fill = fill.unwrap_or_else(|| panic!("style.css has no .{cause}{{fill:…}}"));
            if let Some(pattern) = fill.strip_prefix("url(#").and_then(|it| it.strip_suffix(')')) {
                let is_defined = definitions.contains(&format!(r#"id="{pattern}""#));
                assert!(is_defined, "definitions() has no pattern {pattern}");
                let background = format!("c-{cause}");
                assert!(
                    definitions.contains(&background),
                    "the pattern {pattern} uses {background}"
                );
                assert!(fill_of(&background).is_some(), "style.css has no .{background}{{fill:…}}");
            }
        }
    }
}
