//! `port = 8080` and `port(api = 9000, admin = 9001)`.

use proc_macro2::Span;
use syn::{Expr, ExprLit, Lit};

use crate::mistake;
use crate::option::{Entries, Entry, Value};

const EXAMPLE: &str = "port = 8080` or `port(api = 9000, admin = 9001)";

/// The name of the port of a service that has one port alone.
pub(crate) const MAIN: &str = "main";

/// A port that the service listens on.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    /// Its name.
    pub(crate) name: String,
    /// The number inside.
    pub(crate) number: u16,
}

/// Reads the ports.
pub(crate) fn ports(entry: &Entry) -> syn::Result<Vec<Port>> {
    match &entry.value {
        Value::Equals(value) => {
            let name = MAIN.to_owned();
            let number = number(entry, value)?;
            Ok(vec![Port { name, number }])
        }
        Value::List(_, list) => {
            let Entries(named) = syn::parse2(list.clone())
                .map_err(|error| syn::Error::new(error.span(), takes()))?;
            if named.is_empty() {
                return Err(syn::Error::new_spanned(entry, takes()));
            }
            let mut ports = Vec::new();
            mistake::all(named.iter().map(|entry| {
                let port = named_port(entry, &ports)?;
                ports.push(port.clone());
                Ok(port)
            }))
        }
        Value::Word => Err(syn::Error::new_spanned(entry, takes())),
    }
}

fn named_port(entry: &Entry, others: &[Port]) -> syn::Result<Port> {
    let Value::Equals(value) = &entry.value else {
        return Err(syn::Error::new_spanned(entry, takes()));
    };
    let (name, number) = (entry.name(), number(entry, value)?);
    if others.iter().any(|other| other.name == name) {
        let message = format!("port `{name}` is given twice (hint: keep one)");
        return Err(syn::Error::new_spanned(entry, message));
    }
    if let Some(other) = others.iter().find(|other| other.number == number) {
        let message = format!(
            "`{}` and `{name}` are both port {number} (hint: keep one name)",
            other.name
        );
        return Err(syn::Error::new_spanned(entry, message));
    }
    Ok(Port { name, number })
}

fn takes() -> String {
    format!("`port` takes a number, or numbers with names (hint: write `{EXAMPLE}`)")
}

fn number(entry: &Entry, value: &Expr) -> syn::Result<u16> {
    let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = value
    else {
        return Err(syn::Error::new_spanned(entry, takes()));
    };
    let refuse = |span: Span, what: &str| {
        let message = format!(
            "{what} (hint: give the port that the service listens on; a free one of the host is mapped to it)"
        );
        Err(syn::Error::new(span, message))
    };
    match number.base10_parse::<u16>() {
        Ok(0) => refuse(number.span(), "port 0 is no port"),
        Ok(number) => Ok(number),
        Err(_) => refuse(number.span(), "ports are numbers from 1 to 65535"),
    }
}
