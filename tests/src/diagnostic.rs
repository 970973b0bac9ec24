//! What the compiler says, as text that does not change with the compiler's formatting.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    reason: String,
    target: Option<Target>,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Message {
    message: String,
    level: String,
    rendered: Option<String>,
    spans: Vec<Span>,
    children: Vec<Message>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    is_primary: bool,
    label: Option<String>,
    text: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    text: String,
    highlight_start: usize,
    highlight_end: usize,
}

/// The errors and warnings in the output of `cargo --message-format=json`, by
/// target: each with the code it is about, its label, and the notes that say
/// more than where something is defined. What is told twice in the same words is
/// here once, as cargo shows it.
#[must_use]
pub fn diagnostics(json: &[u8]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::<String, String>::new();
    let mut seen = HashSet::new();
    for line in String::from_utf8_lossy(json).lines() {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            continue;
        };
        if line.reason != "compiler-message" {
            continue;
        }
        if let (Some(target), Some(message)) = (line.target, line.message)
            && seen.insert(message.rendered.clone())
        {
            let text = texts.entry(target.name).or_default();
            render(&message, text);
        }
    }
    texts
}

fn render(message: &Message, text: &mut String) {
    // "aborting due to 3 previous errors" says nothing that is not above it.
    let Some(place) = message.spans.iter().find(|span| span.is_primary) else {
        return;
    };
    let _ = writeln!(text, "{}: {}", message.level, message.message);
    let _ = writeln!(
        text,
        "  --> {}:{} {}",
        place.file_name,
        place.line_start,
        code(place)
    );
    let label = place.label.as_deref().unwrap_or_default();
    // Where a constant is evaluated says nothing that the message does not.
    if !label.is_empty() && !label.starts_with("evaluation of") {
        let _ = writeln!(text, "   = {label}");
    }
    for note in &message.children {
        let generated = note.message.starts_with("this error originates in");
        if note.level == "note" && note.spans.is_empty() && !generated {
            let _ = writeln!(text, "   = note: {}", note.message);
        }
    }
}

/// The highlighted code; of several lines the first.
fn code(span: &Span) -> String {
    let Some(line) = span.text.first() else {
        return String::new();
    };
    let highlighted = line.highlight_end.saturating_sub(line.highlight_start);
    let code = line
        .text
        .chars()
        .skip(line.highlight_start.saturating_sub(1));
    let mut code = format!("`{}`", code.take(highlighted).collect::<String>());
    if span.text.len() > 1 {
        code.push_str(" …");
    }
    code
}
