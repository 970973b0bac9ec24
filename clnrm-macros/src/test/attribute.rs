//! Which of a test's other attributes belong to libtest's function, and which to the user's body.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

use crate::mistake::Mistakes;

/// What libtest and the compiler look at; a lock or a log attribute must not
/// run where the function serves as a host.
const OUTER: [&str; 9] = [
    "ignore",
    "should_panic",
    "cfg",
    "allow",
    "warn",
    "deny",
    "forbid",
    "expect",
    "doc",
];

/// Attributes that call the function with arguments of their own.
const CASES: [&str; 5] = [
    "rstest",
    "test_case",
    "test_matrix",
    "parameterized",
    "case",
];

/// The attributes, sorted.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// Of the function that libtest calls.
    pub(crate) outer: Vec<TokenStream>,
    /// Of the user's own.
    pub(crate) inner: Vec<TokenStream>,
    /// The conditions under which the test is ignored; an empty one is always true.
    pub(crate) ignored: Vec<TokenStream>,
    /// Where the test says that it should panic.
    pub(crate) should_panic: bool,
}

impl Attributes {
    /// Sorts the attributes that stand beside `#[clnrm::test]`.
    pub(crate) fn sort(attributes: &[Attribute], mistakes: &mut Mistakes) -> Self {
        let mut sorted = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("cfg_attr") {
                sorted.conditional(attribute, mistakes);
            } else {
                sorted.add(&attribute.meta, attribute, mistakes);
            }
        }
        sorted
    }

    fn add(&mut self, meta: &Meta, attribute: &Attribute, mistakes: &mut Mistakes) {
        self.should_panic |= meta.path().is_ident("should_panic");
        if meta.path().is_ident("ignore") {
            self.ignored.push(TokenStream::new());
        }
        if is_test(meta) {
            mistakes.on(
                attribute,
                "`#[clnrm::test]` makes this a test already (hint: remove this attribute)",
            );
        } else if is_cases(meta) {
            mistakes.on(
                attribute,
                "a test is called with its services alone, and with no cases (hint: put the body into a function with a parameter, and write a test for each case, or loop over them)",
            );
        } else if is_outer(meta) {
            self.outer.push(attribute.to_token_stream());
        } else {
            self.inner.push(attribute.to_token_stream());
        }
    }

    /// `#[cfg_attr(condition, attributes…)]` is sorted by what it holds.
    fn conditional(&mut self, attribute: &Attribute, mistakes: &mut Mistakes) {
        let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
        let Ok(metas) = attribute.parse_args_with(parse) else {
            // The compiler explains this one better.
            self.outer.push(attribute.to_token_stream());
            return;
        };
        let mut metas = metas.into_iter();
        let Some(condition) = metas.next() else {
            return;
        };
        for meta in metas {
            if meta.path().is_ident("should_panic") {
                mistakes.on(
                    &meta,
                    "whether a test should panic cannot depend on a condition (hint: write two tests, one under `#[cfg(..)]` and one under `#[cfg(not(..))]`)",
                );
                continue;
            }
            if is_test(&meta) || is_cases(&meta) {
                self.add(&meta, attribute, mistakes);
                continue;
            }
            if meta.path().is_ident("ignore") {
                self.ignored.push(condition.to_token_stream());
            }
            let attribute = quote!(#[cfg_attr(#condition, #meta)]);
            if is_outer(&meta) {
                self.outer.push(attribute);
            } else {
                self.inner.push(attribute);
            }
        }
    }
}

/// Whether the attribute would make a second test of the function.
fn is_test(meta: &Meta) -> bool {
    let last = meta.path().segments.last();
    last.is_some_and(|segment| segment.ident == "test")
}

fn is_cases(meta: &Meta) -> bool {
    let last = meta.path().segments.last();
    last.is_some_and(|segment| CASES.iter().any(|name| segment.ident == name))
}

fn is_outer(meta: &Meta) -> bool {
    OUTER.iter().any(|outer| meta.path().is_ident(outer))
}
