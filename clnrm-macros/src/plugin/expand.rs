//! The code of a plugin. It cannot fail.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput};

use super::model::{Plugin, Setting};
use crate::root::{Root, shown_at};
use crate::service::{id, place, scope};
use crate::spec::pairs;

impl Plugin {
    /// Everything that the derive adds.
    pub(crate) fn expand(&self) -> TokenStream {
        let private = self.root.private();
        let place = place(&self.ident, &[]);
        let (marker, in_module) = (&place.marker, &place.check);
        let default = self.default();
        let setters = self.setters.then(|| self.all_setters());
        let plugin = self.implementation(&private);
        let declaration = self.declaration(&private);
        quote! {
            #marker
            const _: () = {
                #in_module
                #default
                #setters
                #plugin
                #declaration
            };
        }
    }

    fn default(&self) -> TokenStream {
        let ident = &self.ident;
        let values = self.fields.iter().map(Setting::default_value);
        quote! {
            #[automatically_derived]
            impl ::core::default::Default for #ident {
                fn default() -> Self {
                    Self { #(#values),* }
                }
            }
        }
    }

    fn all_setters(&self) -> TokenStream {
        let ident = &self.ident;
        let setters = self.fields.iter().map(|field| field.setter(&self.vis));
        quote! {
            #[automatically_derived]
            impl #ident {
                #(#setters)*
            }
        }
    }

    fn implementation(&self, private: &TokenStream) -> TokenStream {
        let (ident, name, service_type) = (&self.ident, &self.name, &self.service_type);
        let fields = self.fields.iter().map(|field| field.declared(&self.root));
        let env = pairs(&self.spec.env);
        let more = quote! {
            service_type: #service_type,
            env: #env,
            fields: __clnrm_fields(self)?,
        };
        let declared = self.spec.expand(private, name, &more);
        let version = self.version();
        let ready = self.exchange.as_ref().map(|path| {
            let private = self.root.private_at(path.span());
            quote_spanned! {shown_at(path.span())=>
                fn ready(&self, handle: &#private::ServiceHandle) -> #private::Result<()> {
                    #path(self, handle)
                }
            }
        });
        quote! {
            fn __clnrm_fields(
                __clnrm_plugin: &#ident,
            ) -> #private::Result<::std::vec::Vec<#private::DeclaredField>> {
                ::core::result::Result::Ok(::std::vec![#(#fields),*])
            }

            #[automatically_derived]
            impl #private::ServicePlugin for #ident {
                fn name(&self) -> &::core::primitive::str {
                    #name
                }

                fn service_type(&self) -> &::core::primitive::str {
                    #service_type
                }

                fn version(&self) -> #private::Version {
                    #private::version(#version)
                }

                fn spec(&self) -> #private::Result<::core::option::Option<#private::Spec>> {
                    #declared.spec().map(::core::option::Option::Some)
                }

                fn config(&self) -> #private::Result<#private::serde_json::Value> {
                    ::core::result::Result::Ok(#private::configuration(&__clnrm_fields(self)?))
                }

                #ready
            }
        }
    }

    fn declaration(&self, private: &TokenStream) -> TokenStream {
        let (ident, name, service_type) = (&self.ident, &self.name, &self.service_type);
        let id = id(ident);
        let exports = self.spec.export_names();
        let version = self.version();
        let description = &self.description;
        let scope = scope(private, self.run_scope);
        let names = self.fields.iter().map(Setting::name);
        let sets = self.fields.iter().map(|field| {
            let (ident, name) = (&field.ident, field.name());
            let (ty, private) = (&field.ty, self.root.private_at(field.ty.span()));
            quote_spanned! {shown_at(ty.span())=>
                <#ty as #private::ConfigValue>::SET(
                    &mut __clnrm_given, #name, &mut __clnrm_plugin.#ident,
                )?;
            }
        });
        quote! {
            #[automatically_derived]
            impl #private::PluginType for #ident {
                const ID: &'static ::core::primitive::str = #id;
                const NAME: &'static ::core::primitive::str = #name;
                const EXPORTS: &'static [&'static ::core::primitive::str] = &[#(#exports),*];

                fn configured() -> #private::Result<Self> {
                    ::core::result::Result::Ok(<Self as ::core::default::Default>::default())
                }
            }

            fn __clnrm_construct(
                __clnrm_config: #private::serde_json::Value,
            ) -> #private::Result<#private::Arc<dyn #private::ServicePlugin>> {
                let mut __clnrm_given =
                    #private::GivenConfig::new(#service_type, __clnrm_config, &[#(#names),*])?;
                let mut __clnrm_plugin = <#ident as ::core::default::Default>::default();
                #(#sets)*
                ::core::result::Result::Ok(#private::Arc::new(__clnrm_plugin))
            }

            const __CLNRM_LOCATION: #private::Location =
                #private::Location { file: ::core::file!(), line: ::core::line!() };
            const __CLNRM_PLUGIN: #private::PluginRegistration = #private::PluginRegistration {
                service_type: #service_type,
                version: #version,
                description: #description,
                location: __CLNRM_LOCATION,
                construct: __clnrm_construct,
            };
            const __CLNRM_SERVICE: #private::ServiceDeclaration = #private::ServiceDeclaration {
                id: <#ident as #private::PluginType>::ID,
                name: <#ident as #private::PluginType>::NAME,
                location: __CLNRM_LOCATION,
                manifest_dir: ::core::env!("CARGO_MANIFEST_DIR"),
                scope: #scope,
                optional: false,
                needs: &[],
                env: &[],
                plugin: || #private::plugin(
                    <#ident as #private::PluginType>::configured()?,
                    ::core::env!("CARGO_MANIFEST_DIR"),
                ),
            };
            #private::inventory::submit! { __CLNRM_PLUGIN }
            #private::inventory::submit! { __CLNRM_SERVICE }
        }
    }

    fn version(&self) -> TokenStream {
        match &self.version {
            Some(version) => quote!(#version),
            None => quote!(::core::env!("CARGO_PKG_VERSION")),
        }
    }
}

impl Setting {
    fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    fn default_value(&self) -> TokenStream {
        let ident = &self.ident;
        let value = self
            .default
            .as_ref()
            .map(|value| match self.form.from_text {
                true => {
                    quote_spanned!(shown_at(value.span())=> ::core::convert::Into::into(#value))
                }
                false => quote!(#value),
            });
        let value = match (value, &self.form.optional) {
            (Some(value), Some(_)) => quote!(::core::option::Option::Some(#value)),
            (Some(value), None) => value,
            (None, _) => quote!(::core::option::Option::None),
        };
        quote!(#ident: #value)
    }

    /// `with_user`: at the call site's span, so that one that nobody calls is no warning.
    fn setter(&self, vis: &syn::Visibility) -> TokenStream {
        let (ident, name) = (&self.ident, self.name());
        let setter = Ident::new(&format!("with_{name}"), Span::call_site());
        let doc = format!("Sets `{name}`.");
        let inner = self.form.optional.as_ref().unwrap_or(&self.ty);
        let (takes, value) = match self.form.from_text {
            true => (
                quote!(impl ::core::convert::Into<#inner>),
                quote!(::core::convert::Into::into(__clnrm_value)),
            ),
            false => (quote!(#inner), quote!(__clnrm_value)),
        };
        let value = match self.form.optional {
            Some(_) => quote!(::core::option::Option::Some(#value)),
            None => value,
        };
        quote! {
            #[doc = #doc]
            #[must_use]
            #vis fn #setter(mut self, __clnrm_value: #takes) -> Self {
                self.#ident = #value;
                self
            }
        }
    }

    fn declared(&self, root: &Root) -> TokenStream {
        let (ident, name, secret) = (&self.ident, self.name(), self.secret);
        let env = match &self.env {
            Some(env) => quote!(::core::option::Option::Some(#env)),
            None => quote!(::core::option::Option::None),
        };
        let (ty, private) = (&self.ty, root.private_at(self.ty.span()));
        quote_spanned! {shown_at(ty.span())=>
            <#ty as #private::ConfigValue>::DECLARE(
                #name, #env, #secret, &__clnrm_plugin.#ident,
            )?
        }
    }
}

/// For a derive with mistakes: enough for its uses to compile.
pub(crate) fn stand_in(root: &Root, input: &DeriveInput) -> TokenStream {
    if !input.generics.params.is_empty() || !matches!(input.data, Data::Struct(_)) {
        return TokenStream::new();
    }
    let private = root.private();
    let ident = &input.ident;
    let default = format_ident!("default", span = Span::call_site());
    quote! {
        const _: () = {
            #[automatically_derived]
            impl ::core::default::Default for #ident {
                fn #default() -> Self {
                    ::core::unimplemented!()
                }
            }
            #[automatically_derived]
            impl #private::ServicePlugin for #ident {
                fn name(&self) -> &::core::primitive::str {
                    ""
                }
            }
            #[automatically_derived]
            impl #private::PluginType for #ident {
                const ID: &'static ::core::primitive::str = "";
                const NAME: &'static ::core::primitive::str = "";
                const EXPORTS: &'static [&'static ::core::primitive::str] = &["*"];

                fn configured() -> #private::Result<Self> {
                    ::core::unimplemented!()
                }
            }
        };
    }
}
