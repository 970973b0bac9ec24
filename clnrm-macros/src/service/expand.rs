//! The code of a service. It cannot fail.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, ItemStruct, Member, Type};

use super::model::{Need, Runs, Service, fields};
use crate::kind::written;
use crate::mistake::Mistakes;
use crate::once::{self, Named};
use crate::root::{Root, shown_at};
use crate::spec::pairs;

impl Service {
    /// Everything that follows the struct.
    pub(crate) fn expand(&self) -> TokenStream {
        let private = self.root.private();
        let (ident, cfg) = (&self.ident, &self.cfg);
        let place = place(ident, cfg);
        let service = self.implementation(&private);
        let deref = self.own.as_ref().map(|own| deref(ident, own));
        let declaration = self.declaration(&private);
        let checks = self.checks();
        let (in_module, plugin) = (&place.check, self.plugin());
        let marker = &place.marker;
        quote! {
            #marker
            #(#cfg)*
            const _: () = {
                #in_module
                #plugin
                #service
                #deref
                #declaration
                #checks
            };
        }
    }

    /// The plugin of the expression, once: the declaration and the handle use it.
    fn plugin(&self) -> Option<TokenStream> {
        let Runs::Plugin(plugin) = &self.runs else {
            return None;
        };
        let private = self.root.private_at(plugin.span());
        Some(quote_spanned! {shown_at(plugin.span())=>
            fn __clnrm_plugin() -> #private::Result<impl #private::ServicePlugin> {
                ::core::result::Result::Ok(#plugin)
            }
        })
    }

    fn implementation(&self, private: &TokenStream) -> TokenStream {
        let (ident, name) = (&self.ident, &self.name);
        let id = id(ident);
        let exports = match (&self.runs, &self.own) {
            (Runs::Spec(spec), _) => {
                let exports = spec.export_names();
                quote!(&[#(#exports),*])
            }
            (Runs::Plugin(_), Some((_, ty))) => quote!(<#ty as #private::Own>::EXPORTS),
            (Runs::Plugin(_), None) => quote!(<#private::ServiceHandle as #private::Own>::EXPORTS),
        };
        let attach = self.attach(private);
        let has_needs = (!self.needs.is_empty()).then(|| {
            quote!(
                const HAS_NEEDS: ::core::primitive::bool = true;
            )
        });
        let check = self.own.is_some().then(|| self.check());
        let check = check.map(|check| {
            quote! {
                fn check_plugin(
                    __clnrm_plugin: &dyn ::core::any::Any,
                    __clnrm_type: &::core::primitive::str,
                ) -> #private::Result<()> {
                    #check(__clnrm_plugin, __clnrm_type)
                }
            }
        });
        quote! {
            #[automatically_derived]
            impl #private::Service for #ident {
                const ID: &'static ::core::primitive::str = #id;
                const NAME: &'static ::core::primitive::str = #name;
                const EXPORTS: &'static [&'static ::core::primitive::str] = #exports;
                #has_needs

                #attach
                #check
            }
        }
    }

    /// What makes the struct of a lease; with the plugin of whoever holds it,
    /// where it shows what a plugin is configured with.
    fn attach(&self, private: &TokenStream) -> TokenStream {
        let made = self.made();
        let lease = quote!(__clnrm_lease: #private::Attachment);
        match (&self.runs, &self.own) {
            (Runs::Plugin(_), Some(_)) => quote! {
                fn attach(#lease) -> #private::Result<Self> {
                    <Self as #private::Service>::attach_configured(
                        __clnrm_lease,
                        || ::core::result::Result::Ok(::std::boxed::Box::new(__clnrm_plugin()?)),
                    )
                }

                fn attach_configured(
                    #lease,
                    __clnrm_configured: #private::Configured,
                ) -> #private::Result<Self> {
                    #made
                }
            },
            _ => quote! {
                fn attach(#lease) -> #private::Result<Self> {
                    #made
                }
            },
        }
    }

    fn made(&self) -> TokenStream {
        let needs = self.needs.iter().map(|need| {
            let (field, service, name) =
                (&need.field, &need.service, need.field.unraw().to_string());
            let span = need.service.span();
            let private = self.root.private_at(span);
            let attached = match need.optional {
                true => {
                    quote!(__clnrm_lease.optional_need(#name)?.map(__CLNRM_ATTACH).transpose()?)
                }
                false => quote!(__CLNRM_ATTACH(__clnrm_lease.need(#name)?)?),
            };
            quote_spanned! {shown_at(span)=>
                #field: {
                    const __CLNRM_ATTACH: fn(#private::Attachment) -> #private::Result<#service> =
                        <#service as #private::Service>::ATTACH;
                    #attached
                },
            }
        });
        let own = self.own.as_ref().map(|(member, ty)| {
            let plugin = match self.runs {
                Runs::Spec(_) => quote!(::core::option::Option::None),
                Runs::Plugin(_) => quote!(::core::option::Option::Some(__clnrm_configured)),
            };
            let private = self.root.private_at(ty.span());
            quote_spanned!(shown_at(ty.span())=> #member: <#ty as #private::Own>::own(__clnrm_lease, #plugin)?,)
        });
        // A field that no test reads would be a warning in the user's code.
        let fields = self.needs.iter().map(|need| &need.field);
        let read = fields.map(|field| quote!(let _ = &__clnrm_service.#field;));
        quote! {
            let __clnrm_service = Self { #(#needs)* #own };
            #(#read)*
            ::core::result::Result::Ok(__clnrm_service)
        }
    }

    fn declaration(&self, private: &TokenStream) -> TokenStream {
        let (ident, optional) = (&self.ident, self.optional);
        let scope = scope(private, self.run_scope);
        let needs = self.needs.iter().map(|need| {
            let Need {
                field,
                service,
                optional,
            } = need;
            let field = field.unraw().to_string();
            let private = self.root.private_at(service.span());
            quote_spanned! {shown_at(service.span())=>
                #private::NeedDeclaration {
                    field: #field,
                    id: <#service as #private::Service>::ID,
                    optional: #optional,
                }
            }
        });
        let (env, check) = (pairs(&self.env), self.check());
        let plugin = match &self.runs {
            Runs::Spec(spec) => {
                let declared = spec.expand(private, &self.name, &TokenStream::new());
                quote!(#private::declared(&#declared, #check))
            }
            Runs::Plugin(_) => {
                let dir = quote!(::core::env!("CARGO_MANIFEST_DIR"));
                quote!(#private::held_plugin(__clnrm_plugin()?, #dir, #check))
            }
        };
        quote! {
            const __CLNRM_SERVICE: #private::ServiceDeclaration = #private::ServiceDeclaration {
                id: <#ident as #private::Service>::ID,
                name: <#ident as #private::Service>::NAME,
                location: #private::Location { file: ::core::file!(), line: ::core::line!() },
                manifest_dir: ::core::env!("CARGO_MANIFEST_DIR"),
                scope: #scope,
                optional: #optional,
                needs: &[#(#needs),*],
                env: #env,
                plugin: || #plugin,
            };
            #private::inventory::submit! { __CLNRM_SERVICE }
        }
    }

    /// The function that says whether the service can hold what a plugin runs.
    fn check(&self) -> TokenStream {
        let Some((_, ty)) = &self.own else {
            let private = self.root.private();
            return quote!(<#private::ServiceHandle as #private::Own>::check_plugin);
        };
        let private = self.root.private_at(ty.span());
        quote_spanned!(shown_at(ty.span())=> <#ty as #private::Own>::check_plugin)
    }

    /// What only the types of the fields know, checked by constants.
    fn checks(&self) -> TokenStream {
        let uses = self.uses.iter().map(|used| {
            let (field, export, service) = (&used.field, &used.export, &used.service);
            let private = self.root.private_at(used.span);
            quote_spanned! {shown_at(used.span)=>
                const _: () = #private::assert_export(
                    #field, #export, <#service as #private::Service>::EXPORTS,
                );
            }
        });
        let named = self
            .needs
            .iter()
            .map(|need| Named {
                name: need.field.unraw().to_string(),
                ty: &need.service,
                tree: once::leaf(&self.root, &need.service),
            })
            .collect::<Vec<_>>();
        let once = once::assertions(&self.root, &named);
        let held = self.own.as_ref().map(|(_, ty)| {
            let (ident, held) = (self.ident.unraw().to_string(), written(ty));
            let private = self.root.private_at(ty.span());
            quote_spanned! {shown_at(ty.span())=>
                const _: () = #private::assert_holds_no_needs(
                    #ident, #held, <#ty as #private::Own>::HAS_NEEDS,
                );
            }
        });
        quote!(#(#uses)* #once #held)
    }
}

/// The id of a service: where the type is declared.
pub(crate) fn id(ident: &Ident) -> TokenStream {
    let name = format!("::{ident}");
    quote! {
        ::core::concat!(
            ::core::env!("CARGO_PKG_NAME"), "/", ::core::env!("CARGO_CRATE_NAME"), "/",
            ::core::module_path!(), #name,
        )
    }
}

/// The scope of a declaration.
pub(crate) fn scope(private: &TokenStream, run: Option<bool>) -> TokenStream {
    match run {
        None => quote!(::core::option::Option::None),
        Some(true) => quote!(::core::option::Option::Some(#private::Scope::Run)),
        Some(false) => quote!(::core::option::Option::Some(#private::Scope::Test)),
    }
}

/// What refuses a declaration inside a function, which `module_path!()` does
/// not see: `self::` means the module, so it finds no item of a function.
pub(crate) struct Place {
    /// Stands beside the type. Its name is what the compiler's error says.
    pub(crate) marker: TokenStream,
    /// Stands in a block of its own.
    pub(crate) check: TokenStream,
}

/// The check for the type `ident`.
pub(crate) fn place(ident: &Ident, cfg: &[syn::Attribute]) -> Place {
    let name = ident.unraw();
    let marker = format_ident!(
        "__Clnrm{name}MustBeDeclaredInAModuleNotInAFunction",
        span = shown_at(ident.span())
    );
    Place {
        marker: quote! {
            #(#cfg)*
            #[doc(hidden)]
            type #marker = #ident;
        },
        check: quote! {
            const _: ::core::option::Option<self::#marker> = ::core::option::Option::None;
        },
    }
}

fn deref(ident: &Ident, (member, ty): &(Member, Type)) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::core::ops::Deref for #ident {
            type Target = #ty;

            fn deref(&self) -> &#ty {
                &self.#member
            }
        }
    }
}

/// For a declaration with mistakes: enough for its uses to compile.
pub(crate) fn stand_in(root: &Root, item: &ItemStruct) -> TokenStream {
    if !item.generics.params.is_empty() {
        return TokenStream::new();
    }
    let private = root.private();
    let ident = &item.ident;
    let (own, _) = fields(&item.fields, &mut Mistakes::default());
    let deref = own.as_ref().map(|own| deref(ident, own));
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #private::Service for #ident {
                const ID: &'static ::core::primitive::str = "";
                const NAME: &'static ::core::primitive::str = "";
                const EXPORTS: &'static [&'static ::core::primitive::str] = &["*"];

                fn attach(_: #private::Attachment) -> #private::Result<Self> {
                    ::core::unimplemented!()
                }
            }
            #deref
        };
    }
}
