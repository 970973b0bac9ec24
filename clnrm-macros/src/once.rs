//! One service is named once: only the types know which service they are.

use heck::ToUpperCamelCase;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::kind::{argument, last_name, optional, written};
use crate::root::{Root, shown_at};

/// A parameter or field, with the expression of what it needs.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: String,
    pub(crate) ty: &'a Type,
    pub(crate) tree: TokenStream,
}

/// Constants that fail to compile when two of `named` are one service.
pub(crate) fn assertions(root: &Root, named: &[Named<'_>]) -> TokenStream {
    if named.len() < 2 {
        return TokenStream::new();
    }
    let trees = named
        .iter()
        .map(|Named { name, tree, .. }| quote!((#name, #tree)));
    let assertions = named.iter().enumerate().skip(1);
    let assertions = assertions.map(|(position, Named { name, ty, .. })| {
        let (private, newtype) = (root.private_at(ty.span()), newtype(name, ty));
        quote_spanned! {shown_at(ty.span())=>
            const _: () = #private::assert_named_once(__CLNRM_NAMED, #position, #newtype);
        }
    });
    let private = root.private();
    quote! {
        const __CLNRM_NAMED: &[(&::core::primitive::str, &#private::NeedTree)] = &[#(#trees),*];
        #(#assertions)*
    }
}

/// What a parameter of type `ty` needs.
pub(crate) fn tree(root: &Root, ty: &Type) -> TokenStream {
    let private = root.private_at(ty.span());
    quote_spanned!(shown_at(ty.span())=> &<#ty as #private::Needs>::TREE)
}

/// The service `ty`, by the trait that a field's type has to have anyway: a
/// second trait would be a second error.
pub(crate) fn leaf(root: &Root, ty: &Type) -> TokenStream {
    let private = root.private_at(ty.span());
    quote_spanned! {shown_at(ty.span())=>
        &#private::NeedTree::Service {
            id: <#ty as #private::Service>::ID,
            name: <#ty as #private::Service>::NAME,
        }
    }
}

/// The declaration that makes the second one a service of its own, in words
/// where only its author knows what runs it.
fn newtype(name: &str, ty: &Type) -> String {
    let service = optional(ty).unwrap_or(ty);
    let last = last_name(service).unwrap_or_else(|| "Service".to_owned());
    let struct_name = match name.to_upper_camel_case() {
        camel if camel.is_empty() || camel == last => format!("Other{last}"),
        camel => camel,
    };
    let plugin = match (last.as_str(), argument(service)) {
        ("Postgres" | "Redis", _) => format!("clnrm::{}::plugin()", last.to_lowercase()),
        ("Running", Some(plugin)) => format!("{}::default()", written(plugin)),
        _ => {
            let service = written(service);
            return format!(
                "`#[clnrm::service(..)] struct {struct_name}`, with the plugin or the options, and the fields, of `{service}`"
            );
        }
    };
    let service = written(service);
    format!("`#[clnrm::service({plugin})] struct {struct_name}({service});`")
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn the_newtype_is_code_that_compiles() {
        assert_eq!(
            newtype("other", &parse_quote!(Option<clnrm::postgres::Postgres>)),
            "`#[clnrm::service(clnrm::postgres::plugin())] struct Other(clnrm::postgres::Postgres);`"
        );
        assert_eq!(
            newtype("fast", &parse_quote!(clnrm::Running<queue::Queue>)),
            "`#[clnrm::service(queue::Queue::default())] struct Fast(clnrm::Running<queue::Queue>);`"
        );
        assert_eq!(
            newtype("shop", &parse_quote!(Shop)),
            "`#[clnrm::service(..)] struct OtherShop`, with the plugin or the options, and the fields, of `Shop`"
        );
    }
}
