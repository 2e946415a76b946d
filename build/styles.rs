//! Style sheets as text: what of a large one the pages use, without what only people read.

use std::collections::HashSet;

/// The rules of a style sheet that apply where no element has another class, and no animation another name, than
/// `words` has. No text in the style sheet may have braces, and no rule but those of `@media` and its like rules
/// in it.
pub fn only_used(css: &str, words: &HashSet<&str>) -> String {
    let css = without_comments(css);
    let mut kept = String::new();
    let mut rest = css.as_str();
    while let Some(at) = rest.find(['{', ';']) {
        let (head, tail) = rest.split_at(at);
        if let Some(tail) = tail.strip_prefix(';') {
            rest = tail;
            continue;
        }
        let end = end_of_block(tail);
        let (head, body) = used(head.trim(), &tail[1..end], words);
        if !(head.is_empty() || body.is_empty()) {
            kept += &format!("{head}{{{body}}}\n");
        }
        rest = tail.get(end + 1..).unwrap_or_default();
    }
    kept
}

/// What is left of a rule; its head or its body is empty where that is nothing.
fn used(head: &str, body: &str, words: &HashSet<&str>) -> (String, String) {
    match head.strip_prefix('@').map(|rule| rule.split_once(' ').unwrap_or((rule, ""))) {
        Some(("keyframes", name)) if !words.contains(name) => Default::default(),
        Some(("keyframes", _)) => (head.to_owned(), body.to_owned()),
        Some(_) => (head.to_owned(), only_used(body, words)),
        None => (selectors(head, words), body.to_owned()),
    }
}

/// Where the block ends that the text begins with.
fn end_of_block(text: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Those of a list of selectors that name no other class.
fn selectors(list: &str, words: &HashSet<&str>) -> String {
    let mut depth = 0;
    let parts = list.split(|letter| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        letter == ',' && depth == 0
    });
    let used = parts.filter(|selector| classes(selector).all(|class| words.contains(class)));
    used.collect::<Vec<_>>().join(",")
}

/// The classes that an element or those around it must have.
fn classes(selector: &str) -> impl Iterator<Item = &str> {
    let mut parts = selector.split(":not(");
    let first = parts.next();
    let wanted = first.into_iter().chain(parts.filter_map(|part| part.split_once(')').map(|two| two.1)));
    wanted
        .flat_map(|part| part.split('.').skip(1))
        .map(|part| part.split(|letter| !is_name(letter)).next().unwrap_or_default())
}

/// Whether a letter may be part of the name of a class.
pub fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '-' || letter == '_'
}

/// The style sheet without its comments, indentation and empty lines.
pub fn without_comments(css: &str) -> String {
    let mut parts = css.split("/*");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    kept.extend(parts.filter_map(|part| part.split_once("*/")).map(|two| two.1));
    kept.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .fold(String::new(), |text, line| text + line + "\n")
}
