//! Which of their columns or JSON keys holds which of our fields.

use crate::sources::record::{FIELDS, Field, Raw, RawRecord, UNREAD, native_name};
use crate::sources::settings::SourceSettings;

/// Native names that `[source.fields]` and `[source.defaults]` may use.
pub fn native_names() -> impl Iterator<Item = &'static str> {
    let read = FIELDS.iter().map(|(name, _)| *name).filter(|name| !name.contains('.'));
    read.chain(UNREAD.iter().copied())
}

/// The keys of one source, resolved: a tree, because a dotted path reaches into nested objects.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub root: Node,
    /// [`SourceSettings::mapping`].
    pub mapping: String,
    defaults: Vec<(Field, String)>,
}

/// The keys of one object that are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub keys: Vec<(String, Target)>,
}

/// What is under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Fields that its value is.
    pub fields: Vec<Field>,
    /// Keys read in it where it is an object.
    pub nested: Node,
    /// All fields below it: a key given twice replaces the first one's whole value.
    pub below: Vec<Field>,
}

impl Target {
    /// The one field that its value is, where nothing is read below it.
    pub fn field(&self) -> Option<Field> {
        match self.fields[..] {
            [field] if self.below.is_empty() => Some(field),
            _ => None,
        }
    }
}

impl Layout {
    pub fn new(source: &SourceSettings) -> Layout {
        let mut root = Node::default();
        for &(name, field) in &FIELDS {
            let (native, rest) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
            let theirs = source.fields.get(native).map_or(native, String::as_str);
            let path = rest.map_or_else(|| theirs.to_owned(), |rest| format!("{theirs}.{rest}"));
            root.insert(&path, field);
            // A key or column may itself have a dot in its name.
            if path.contains('.') {
                root.target(&path).fields.push(field);
            }
        }
        let default_of =
            |&(name, field): &(&str, Field)| source.defaults.get(name).map(|value| (field, value.clone()));
        let defaults = FIELDS.iter().filter_map(default_of).collect();
        Layout { root, mapping: source.mapping(), defaults }
    }

    /// Whether records get a value for a field that they do not have.
    pub fn has_default(&self, field: Field) -> bool {
        self.defaults.iter().any(|default| default.0 == field)
    }

    /// Native names and values of the source's defaults where the record has nothing.
    pub fn defaults_of<'a>(&'a self, record: &RawRecord) -> impl Iterator<Item = (&'static str, &'a str)> {
        let missing = self.defaults.iter().filter(|(field, _)| *record.get(*field) == Raw::Missing);
        missing.map(|(field, value)| (native_name(*field), value.as_str()))
    }

    /// Fills in the source's defaults where the record has nothing.
    pub fn fill_defaults<'a>(&'a self, record: &mut RawRecord<'a>) {
        for (field, value) in &self.defaults {
            record.fill(*field, value);
        }
    }
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Target> {
        self.keys.iter().find(|entry| entry.0 == key).map(|entry| &entry.1)
    }

    fn insert(&mut self, path: &str, field: Field) {
        match path.split_once('.') {
            None => self.target(path).fields.push(field),
            Some((key, rest)) => {
                let target = self.target(key);
                target.below.push(field);
                target.nested.insert(rest, field);
            }
        }
    }

    fn target(&mut self, key: &str) -> &mut Target {
        let at = self.keys.iter().position(|entry| entry.0 == key).unwrap_or_else(|| {
            self.keys.push((key.to_owned(), Target::default()));
            self.keys.len() - 1
        });
        &mut self.keys[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> Layout {
        Layout::new(&toml::from_str(text).expect("valid settings"))
    }

    #[test]
    fn native_names_are_read_as_they_are() {
        let layout = layout("path = 'a'");
        let wrapper = layout.root.get("wrapper_name").expect("read");
        assert_eq!(wrapper.fields, [Field::WrapperName]);
        let custom = layout.root.get("custom_metrics").expect("read");
        assert_eq!(custom.below, [Field::CustomTokens, Field::CustomCost]);
        assert!(custom.nested.get("tokens_used").is_some());
        assert!(layout.root.get("user_id").is_none());
    }

    #[test]
    fn a_mapped_name_replaces_the_native_one() {
        let layout =
            layout("path = 'a'\nfields = { wrapper_name = 'meta.svc', start_time = 'ts', end_time = 'ts' }");
        assert!(layout.root.get("wrapper_name").is_none());
        let nested = &layout.root.get("meta").expect("read").nested;
        assert_eq!(nested.get("svc").expect("read").fields, [Field::WrapperName]);
        assert_eq!(layout.root.get("meta.svc").expect("a key may have a dot").fields, [Field::WrapperName]);
        assert_eq!(layout.root.get("ts").expect("read").fields, [Field::StartTime, Field::EndTime]);
    }

    #[test]
    fn native_names_are_top_level() {
        assert!(native_names().any(|name| name == "custom_metrics"));
        assert!(native_names().all(|name| !name.contains('.')));
    }
}
