//! The runtime's `Declared`, with what was said and nothing else.

use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

use super::Spec;
use super::ready::{Kind, Wait};
use crate::text::Text;

impl Spec {
    /// The literal. `more` are fields that the caller knows.
    pub(crate) fn expand(
        &self,
        private: &TokenStream,
        name: &str,
        more: &TokenStream,
    ) -> TokenStream {
        let mut fields = vec![quote!(name: #name)];
        if let Some(image) = &self.image {
            let image = some(&image.value);
            fields.push(quote!(image: #image));
        }
        if let Some(bin) = &self.bin {
            let bin = bin_of(
                private,
                &bin.value,
                self.package.as_ref().map(|it| &it.value),
            );
            fields.push(quote!(bin: ::core::option::Option::Some(#bin)));
        }
        if let Some(program) = &self.program {
            let program = some(&program.value);
            fields.push(quote!(program: #program));
        }
        for (field, list) in [("args", &self.args), ("command", &self.command)] {
            if let Some(list) = list {
                let field = quote::format_ident!("{field}");
                let list = list.value.iter().map(|text| &text.value);
                fields.push(quote!(#field: ::core::option::Option::Some(&[#(#list),*])));
            }
        }
        if !self.ports.is_empty() {
            let ports = self.ports.iter().map(|port| {
                let (name, number) = (&port.name, port.number);
                quote!((#name, #number))
            });
            fields.push(quote!(ports: &[#(#ports),*]));
        }
        if let Some(ready) = &self.ready {
            let wait = ready.value.wait.expand(private);
            fields.push(quote!(ready: ::core::option::Option::Some(#wait)));
        }
        let in_ready = self.ready.as_ref().and_then(|ready| ready.value.timeout);
        let start_timeout = in_ready.or(self.start_timeout.map(|it| it.value));
        fields.extend(time("start_timeout", start_timeout));
        fields.extend(time("stop_grace", self.stop_grace.map(|it| it.value)));
        if let Some(volumes) = &self.volumes {
            let volumes = &volumes.value;
            fields.push(quote!(volumes: &[#(#volumes),*]));
        }
        if let Some(network) = &self.network {
            let network = some(&network.value);
            fields.push(quote!(network: #network));
        }
        if !self.aliases.is_empty() {
            let aliases = self.aliases.iter().map(|alias| &alias.value);
            fields.push(quote!(aliases: &[#(#aliases),*]));
        }
        if !self.exports.is_empty() {
            let exports = pairs(&self.exports);
            fields.push(quote!(exports: #exports));
        }
        quote! {
            #private::Declared {
                #(#fields,)*
                #more
                manifest_dir: ::core::env!("CARGO_MANIFEST_DIR"),
                ..::core::default::Default::default()
            }
        }
    }
}

/// Names and texts as a slice.
pub(crate) fn pairs(pairs: &[(LitStr, Text)]) -> TokenStream {
    let pairs = pairs.iter().map(|(name, text)| {
        let text = &text.value;
        quote!((#name, #text))
    });
    quote!(&[#(#pairs),*])
}

/// The path is known to the integration tests of the binary's own package alone.
fn bin_of(private: &TokenStream, name: &LitStr, package: Option<&LitStr>) -> TokenStream {
    let (package, path) = match package {
        Some(package) => (quote!(#package), quote!(::core::option::Option::None)),
        None => {
            let variable = format!("CARGO_BIN_EXE_{}", name.value());
            (
                quote!(::core::env!("CARGO_PKG_NAME")),
                quote!(::core::option_env!(#variable)),
            )
        }
    };
    quote!(#private::DeclaredBin { package: #package, name: #name, path: #path })
}

fn some(text: &LitStr) -> TokenStream {
    quote!(::core::option::Option::Some(#text))
}

fn time(field: &str, millis: Option<u64>) -> Option<TokenStream> {
    let millis = millis?;
    let field = quote::format_ident!("{field}");
    Some(quote!(#field: ::core::option::Option::Some(::core::time::Duration::from_millis(#millis))))
}

impl Wait {
    fn expand(&self, private: &TokenStream) -> TokenStream {
        let wait = match &self.kind {
            Kind::Http {
                path,
                port,
                status,
                body,
            } => {
                let (path, port, body) = (string(path), optional(port), optional(body));
                let status = match status {
                    Some(status) => quote!(::core::option::Option::Some(#status)),
                    None => quote!(::core::option::Option::None),
                };
                quote!(Http { port: #port, path: #path, status: #status, body: #body })
            }
            Kind::Tcp { port } => {
                let port = optional(port);
                quote!(Tcp { port: #port })
            }
            Kind::Log {
                pattern,
                count,
                stderr,
            } => {
                let pattern = string(pattern);
                let stream = match stderr {
                    Some(true) => quote!(::core::option::Option::Some(#private::LogStream::Stderr)),
                    Some(false) => {
                        quote!(::core::option::Option::Some(#private::LogStream::Stdout))
                    }
                    None => quote!(::core::option::Option::None),
                };
                quote!(Log { pattern: #pattern, stream: #stream, count: #count })
            }
            Kind::Exec(command) => {
                let command = command.iter().map(string);
                quote!(Exec {
                    command: ::std::vec![#(#command),*]
                })
            }
            Kind::Healthcheck => quote!(Healthcheck),
            Kind::Plugin(_) => quote!(Plugin),
            Kind::All(waits) => {
                let waits = waits.iter().map(|wait| wait.expand(private));
                quote!(All(::std::vec![#(#waits),*]))
            }
            Kind::Any(waits) => {
                let waits = waits.iter().map(|wait| wait.expand(private));
                quote!(Any(::std::vec![#(#waits),*]))
            }
        };
        quote!(#private::Wait::#wait)
    }
}

fn string(text: &LitStr) -> TokenStream {
    quote!(<::std::string::String as ::core::convert::From<_>>::from(#text))
}

fn optional(text: &Option<LitStr>) -> TokenStream {
    match text {
        Some(text) => {
            let text = string(text);
            quote!(::core::option::Option::Some(#text))
        }
        None => quote!(::core::option::Option::None),
    }
}
