//! The picture as SVG: one file, no script, no font of its own, nothing from elsewhere.
//!
//! Every class begins with `lk-`, so that the picture can stand in a page. Tones differ in form, too: what
//! waits is a thin bar, what runs without the lock a hollow one. In both themes text has a contrast of 4.5
//! to the ground at least, bars and marks of 3 (WCAG 2.2, 1.4.3 and 1.4.11).

use std::fmt::Write as _;

use super::plot::{
    Anchor, BAR, Bar, Flag, Ink, LEFT, Len, MARK, NAME, Plot, RIGHT, Sample, Text, WIDTH,
};
use crate::core::timeline::{Mark, Phase};

const STYLE: &str = "\
.lk-ground{fill:#fff}\
.lk-text{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace;fill:#1f2328}\
.lk-mute{fill:#59636e}.lk-alarm{fill:#c21f2c}\
.lk-line{stroke:#d1d9e0;stroke-width:1;fill:none}\
.lk-wait{fill:#a46a00}.lk-hold{fill:#1f6fd0}.lk-stop{fill:#8a3fbf}\
.lk-run{fill:none;stroke:#6e7781;stroke-width:1.2}.lk-tip{fill:#6e7781}\
.lk-bad{fill:#c21f2c}.lk-odd{fill:none;stroke:#6e7781;stroke-width:1.6}.lk-plain{fill:#6e7781}\
.lk-stem{stroke:#6e7781;stroke-width:1;fill:none}\
@media(prefers-color-scheme:dark){\
.lk-ground{fill:#0d1117}.lk-text{fill:#e6edf3}\
.lk-mute{fill:#9198a1}.lk-alarm{fill:#ff7b72}\
.lk-line{stroke:#2a313c}\
.lk-wait{fill:#c99526}.lk-hold{fill:#4a93f5}.lk-stop{fill:#bd82ee}\
.lk-run,.lk-odd,.lk-stem{stroke:#8b949e}.lk-tip,.lk-plain{fill:#8b949e}.lk-bad{fill:#ff7b72}}";

/// Writes it.
pub(super) fn render(plot: &Plot) -> String {
    let mut to = String::new();
    let (width, height) = (Px(WIDTH), Px(plot.height));
    let _ = write!(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>"
    );
    escape(&mut to, &plot.title);
    let _ = write!(
        to,
        "</title>\n<style>{STYLE}</style>\n<rect class=\"lk-ground\" width=\"100%\" height=\"100%\"/>\n"
    );
    grid(&mut to, plot);
    for bar in &plot.bars {
        draw_bar(&mut to, bar);
    }
    for flag in &plot.flags {
        draw_flag(&mut to, flag);
    }
    for (sample, x, y) in &plot.samples {
        draw_sample(&mut to, *sample, *x, *y);
    }
    for text in &plot.texts {
        draw_text(&mut to, text);
    }
    to.push_str("</svg>\n");
    to
}

fn grid(to: &mut String, plot: &Plot) {
    to.push_str("<path class=\"lk-line\" d=\"");
    let edge = |rules: Option<&Len>| rules.copied().unwrap_or(0);
    let (top, bottom) = (edge(plot.rules.first()), edge(plot.rules.last()));
    for x in &plot.ticks {
        let _ = write!(to, "M{} {}V{}", Px(*x), Px(top), Px(bottom));
    }
    for y in &plot.rules {
        let _ = write!(to, "M16 {}H984", Px(*y));
    }
    to.push_str("\"/>\n");
}

fn draw_bar(to: &mut String, bar: &Bar) {
    titled(to, &bar.title);
    for part in &bar.parts {
        block(to, part.phase, [part.from, bar.y, part.to - part.from]);
    }
    for [from, until] in &bar.twice {
        rect(
            to,
            "lk-bad lk-twice",
            [*from, bar.y + BAR + 10, *until - *from, 30],
        );
    }
    let middle = Px(bar.y + BAR / 2);
    let [left, right] = bar.open;
    if left {
        let _ = write!(
            to,
            "<path class=\"lk-tip\" d=\"M{} {middle}l6 -5v10z\"/>",
            Px(LEFT - 75)
        );
    }
    if right {
        let _ = write!(
            to,
            "<path class=\"lk-tip\" d=\"M{} {middle}l-6 -5v10z\"/>",
            Px(RIGHT + 75)
        );
    }
    to.push_str("</g>\n");
}

/// A part of a bar.
fn block(to: &mut String, phase: Phase, [x, y, width]: [Len; 3]) {
    let (class, inset) = match phase {
        Phase::Waiting => ("lk-wait", 40),
        Phase::Holding => ("lk-hold", 0),
        Phase::Stopping => ("lk-stop", 0),
        // Its line lies half outside. What is too thin for two lines is one.
        Phase::Running if width > 24 => {
            return rect(to, "lk-run", [x + 6, y + 6, width - 12, BAR - 12]);
        }
        Phase::Running => ("lk-tip", 0),
    };
    rect(to, class, [x, y + inset, width, BAR - 2 * inset]);
}

fn draw_flag(to: &mut String, flag: &Flag) {
    titled(to, &flag.title);
    let (x, y) = (Px(flag.x), Px(flag.y));
    let _ = write!(to, "<path class=\"lk-stem\" d=\"M{x} {y}v4\"/>");
    shape(to, flag.mark, flag.x - MARK / 2, flag.y - MARK);
    to.push_str("</g>\n");
}

/// A mark in a square with this upper left corner.
fn shape(to: &mut String, mark: Mark, x: Len, y: Len) {
    let (class, path) = match mark {
        Mark::Watchdog => ("lk-bad", "m4.5 0l4.5 9h-9z"),
        Mark::Failed => (
            "lk-bad",
            "m1.8 .6l2.7 2.7 2.7-2.7 1.2 1.2-2.7 2.7 2.7 2.7-1.2 1.2-2.7-2.7-2.7 2.7-1.2-1.2 2.7-2.7-2.7-2.7z",
        ),
        Mark::NotRun => ("lk-odd", "m4.5 1a3.5 3.5 0 1 0 .01 0z"),
        Mark::Lost => ("lk-odd", "m4.5 .8l3.7 3.7-3.7 3.7-3.7-3.7z"),
        Mark::Stopped => ("lk-plain", "m1 1h7v7h-7z"),
        Mark::Final | Mark::Good | Mark::Open => ("lk-plain", "m4.5 .8a3.7 3.7 0 1 0 .01 0z"),
    };
    let _ = write!(
        to,
        "<path class=\"{class}\" d=\"M{} {}{path}\"/>",
        Px(x),
        Px(y)
    );
}

/// A line of the legend, in front of the text that stands on `y`.
fn draw_sample(to: &mut String, sample: Sample, x: Len, y: Len) {
    match sample {
        Sample::Phase(phase) => block(to, phase, [x, y - 100, 140]),
        Sample::Mark(mark) => shape(to, mark, x + 25, y - 85),
        Sample::Twice => {
            block(to, Phase::Holding, [x, y - 120, 140]);
            rect(to, "lk-bad lk-twice", [x, y + 10, 140, 30]);
        }
    }
    to.push('\n');
}

fn draw_text(to: &mut String, text: &Text) {
    let ink = match text.ink {
        Ink::Full => "",
        Ink::Mute => " lk-mute",
        Ink::Bad => " lk-alarm",
    };
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if text.size > NAME {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let (x, y, size) = (Px(text.x), Px(text.y), Px(text.size));
    let _ = write!(
        to,
        "<text class=\"lk-text{ink}\" x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{anchor}{weight}>"
    );
    if !text.lead.is_empty() {
        to.push_str("<tspan class=\"lk-mute\">");
        escape(to, &text.lead);
        to.push_str("</tspan>");
    }
    escape(to, &text.words);
    to.push_str("</text>\n");
}

/// Begins a group with a title.
fn titled(to: &mut String, title: &str) {
    to.push_str("<g><title>");
    escape(to, title);
    to.push_str("</title>");
}

fn rect(to: &mut String, class: &str, [x, y, width, height]: [Len; 4]) {
    let (x, y, width, height) = (Px(x), Px(y), Px(width), Px(height));
    let _ = write!(
        to,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
    );
}

/// As XML has it. What it cannot have at all is not in a text that was made plain.
fn escape(to: &mut String, text: &str) {
    for sign in text.chars() {
        match sign {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            _ => to.push(sign),
        }
    }
}

/// Tenths of a pixel, as pixels; never below zero.
struct Px(Len);

impl std::fmt::Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}", self.0 / 10),
            tenth => write!(f, "{}.{tenth}", self.0 / 10),
        }
    }
}
