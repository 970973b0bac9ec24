//! The crate whose `__private` module an expansion names.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::quote;
use syn::{Path, parse_quote};

/// `::clnrm` or `::clnrm_runtime`, or what `crate = path` says.
#[derive(Debug, Clone)]
pub(crate) struct Root(Path);

impl Root {
    /// For code that depends on the facade.
    pub(crate) fn facade() -> Self {
        Self(parse_quote!(::clnrm))
    }

    /// For code that depends on the runtime alone, as plugins do.
    pub(crate) fn runtime() -> Self {
        Self(parse_quote!(::clnrm_runtime))
    }

    /// What `crate = path` says, where it is said.
    pub(crate) fn or(self, said: Option<Path>) -> Self {
        said.map_or(self, Self)
    }

    /// The module with all that generated code may name.
    pub(crate) fn private(&self) -> TokenStream {
        let Self(path) = self;
        quote!(#path::__private)
    }

    /// The same, for code whose errors show at `span`. The compiler goes by
    /// every token of it.
    pub(crate) fn private_at(&self, span: Span) -> TokenStream {
        at(self.private(), span)
    }
}

/// Where generated code stands whose errors show at `span`: it stays generated,
/// so that the lints of the user's crate do not look at it.
pub(crate) fn shown_at(span: Span) -> Span {
    Span::call_site().located_at(span)
}

fn at(tokens: TokenStream, span: Span) -> TokenStream {
    let tokens = tokens.into_iter().map(|mut token| {
        if let TokenTree::Group(group) = &token {
            let inner = at(group.stream(), span);
            token = TokenTree::Group(Group::new(group.delimiter(), inner));
        }
        token.set_span(shown_at(span));
        token
    });
    tokens.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::plugin;
    use crate::service::service;
    use crate::snapshot::tokens;
    use crate::test::test;

    /// Every expansion, in a crate that has one of the two roots alone.
    fn expansions(root: &Root) -> [String; 3] {
        [
            test(root, tokens(""), &tokens("async fn two(a: A, b: &B) {}")),
            service(
                root,
                tokens("image = \"a:1\", port = 1, env(A = \"{b.url}\"), ready(tcp)"),
                &tokens("struct A { handle: H, b: B }"),
            ),
            plugin(
                root,
                tokens("#[plugin(type = \"a\", image = \"a:1\")] struct A { b: Option<u8> }"),
            ),
        ]
        .map(|expansion| expansion.to_string())
    }

    #[test]
    fn an_expansion_names_one_root_alone() {
        for text in expansions(&Root::runtime()) {
            assert!(text.contains(":: clnrm_runtime :: __private ::"), "{text}");
            assert!(!text.contains(":: clnrm ::"), "{text}");
        }
        for text in expansions(&Root::facade()) {
            assert!(text.contains(":: clnrm :: __private ::"), "{text}");
            assert!(!text.contains("clnrm_runtime"), "{text}");
        }
    }
}
