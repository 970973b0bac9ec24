//! Expansions as text, for snapshots.

use proc_macro2::TokenStream;

/// The tokens as a formatted file.
#[track_caller]
pub(crate) fn pretty(tokens: TokenStream) -> String {
    let text = tokens.to_string();
    match syn::parse2(tokens) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("an expansion that is no Rust: {error}\n{text}"),
    }
}

/// The text as tokens.
#[track_caller]
pub(crate) fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap()
}

/// Compares a text with the snapshot called `$name` of the calling module.
macro_rules! assert_text {
    ($name:expr, $text:expr $(,)?) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!($name, $text);
        })
    };
}
pub(crate) use assert_text;
