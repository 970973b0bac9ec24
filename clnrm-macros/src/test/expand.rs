//! The code of a test. It cannot fail.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, ReturnType, Visibility};

use super::model::{Runtime, Test};
use crate::once::{self, Named, tree};
use crate::root::shown_at;

impl Test {
    /// The function that libtest calls, with everything else inside it: it is
    /// only there when tests are compiled.
    pub(crate) fn expand(&self) -> TokenStream {
        let private = self.root.private();
        let (outer, inner) = (&self.attributes.outer, &self.attributes.inner);
        let (vis, ident) = (&self.function.vis, &self.function.sig.ident);
        let mut function = self.function.clone();
        function.vis = Visibility::Inherited;
        let output = match self.attributes.should_panic {
            true => TokenStream::new(),
            false => quote!(-> ::std::process::ExitCode),
        };
        let declaration = self.declaration(&private);
        let flavor = self.flavor(&private);
        let call = self.call();
        let named = self
            .parameters
            .iter()
            .map(|parameter| Named {
                name: parameter.name.clone(),
                ty: &parameter.ty,
                tree: tree(&self.root, &parameter.ty),
            })
            .collect::<Vec<_>>();
        let once = once::assertions(&self.root, &named);
        quote! {
            #[::core::prelude::v1::test]
            #(#outer)*
            #vis fn #ident() #output {
                #(#inner)*
                #function
                {
                    const __CLNRM_TEST: #private::TestDeclaration = #declaration;
                    #[used]
                    #[cfg_attr(
                        not(any(target_vendor = "apple", windows)),
                        unsafe(link_section = "clnrm_t")
                    )]
                    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__clnrm_t"))]
                    #[cfg_attr(windows, unsafe(link_section = ".clnrm_t"))]
                    static __CLNRM_LINE: [::core::primitive::u8; #private::line_len(&__CLNRM_TEST)] =
                        #private::line(&__CLNRM_TEST);
                    static __CLNRM_CASE: #private::TestCase = #private::TestCase {
                        declaration: &__CLNRM_TEST,
                        line: &__CLNRM_LINE,
                        package: ::core::env!("CARGO_PKG_NAME"),
                        target: ::core::env!("CARGO_CRATE_NAME"),
                        flavor: #flavor,
                    };
                    #private::inventory::submit! { #private::Line(&__CLNRM_LINE) }
                    #once
                    #call
                }
            }
        }
    }

    fn declaration(&self, private: &TokenStream) -> TokenStream {
        let path = format!("::{}", self.function.sig.ident);
        let (timeout, fresh) = (self.timeout_ms, self.fresh);
        let conditions = &self.attributes.ignored;
        let ignored = match conditions.as_slice() {
            [] => quote!(false),
            conditions if conditions.iter().any(TokenStream::is_empty) => quote!(true),
            conditions => quote!(#(::core::cfg!(#conditions))||*),
        };
        let shared = self.shared.iter().map(|ty| tree(&self.root, ty));
        let needs = self
            .parameters
            .iter()
            .map(|parameter| tree(&self.root, &parameter.ty));
        quote! {
            #private::TestDeclaration {
                path: ::core::concat!(::core::module_path!(), #path),
                file: ::core::file!(),
                line: ::core::line!(),
                timeout_ms: #timeout,
                fresh: #fresh,
                ignored: #ignored,
                shared: &#private::NeedTree::All(&[#(#shared),*]),
                needs: &#private::NeedTree::All(&[#(#needs),*]),
            }
        }
    }

    fn flavor(&self, private: &TokenStream) -> TokenStream {
        match self.runtime {
            Runtime::None | Runtime::CurrentThread => quote!(#private::Flavor::CurrentThread),
            Runtime::MultiThread { workers } => {
                quote!(#private::Flavor::MultiThread { workers: #workers })
            }
        }
    }

    /// The call of the user's function with what was leased.
    fn call(&self) -> TokenStream {
        let ident = &self.function.sig.ident;
        let names = (0..self.parameters.len())
            .map(|position| format_ident!("__clnrm_{position}"))
            .collect::<Vec<_>>();
        let types = self.parameters.iter().map(|parameter| &parameter.ty);
        let builds = (0..self.parameters.len())
            .map(|position| format_ident!("__CLNRM_BUILD_{position}"))
            .collect::<Vec<_>>();
        let constants = self
            .parameters
            .iter()
            .zip(&builds)
            .map(|(parameter, build)| {
                let (ty, private) = (&parameter.ty, self.root.private_at(parameter.ty.span()));
                quote_spanned! {shown_at(ty.span())=>
                    const #build: #private::Build<#ty> = <#ty as #private::Needs>::BUILD;
                }
            });
        let arguments = self.parameters.iter().zip(&names).map(|(parameter, name)| {
            let reference = parameter.by_ref.then(|| quote!(&));
            quote!(#reference #name)
        });
        let is_async = !matches!(self.runtime, Runtime::None);
        let run = match (is_async, self.attributes.should_panic) {
            (true, false) => "run_async",
            (true, true) => "run_async_should_panic",
            (false, false) => "run_sync",
            (false, true) => "run_sync_should_panic",
        };
        let body = match is_async {
            true => quote!(async move { #ident(#(#arguments),*).await }),
            false => quote!(#ident(#(#arguments),*)),
        };
        let span = match &self.function.sig.output {
            ReturnType::Default => ident.span(),
            ReturnType::Type(_, ty) => ty.span(),
        };
        // The span says where a return type is wrong.
        let private = self.root.private_at(span);
        let run = format_ident!("{run}", span = shown_at(span));
        quote_spanned! {shown_at(span)=>
            #(#constants)*
            #private::#run(
                &__CLNRM_CASE,
                async |__clnrm_leases| ::core::result::Result::Ok(
                    (#(#builds(__clnrm_leases).await?,)*)
                ),
                |(#(#names,)*): (#(#types,)*)| #body,
            )
        }
    }
}

/// For a test with mistakes: the function alone, so that what it uses is used
/// and its own mistakes are shown.
pub(crate) fn stand_in(mut function: ItemFn) -> TokenStream {
    let takes_self = function.sig.receiver().is_some();
    if takes_self || function.sig.variadic.is_some() {
        return TokenStream::new();
    }
    function.attrs.clear();
    quote! {
        #[cfg(test)]
        #[allow(dead_code)]
        #function
    }
}
