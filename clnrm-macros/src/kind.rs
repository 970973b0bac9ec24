//! Types, as far as their tokens tell.

use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

/// `T` of `Option<T>`.
pub(crate) fn optional(ty: &Type) -> Option<&Type> {
    match last_name(ty)?.as_str() {
        "Option" => argument(ty),
        _ => None,
    }
}

/// `T` of `Anything<T>`.
pub(crate) fn argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = without_group(ty) else {
        return None;
    };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) if arguments.args.len() == 1 => Some(inner),
        _ => None,
    }
}

/// The type inside the groups that `macro_rules!` leaves around it.
pub(crate) fn without_group(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => without_group(&group.elem),
        Type::Paren(paren) => without_group(&paren.elem),
        other => other,
    }
}

/// The last name of a path: `Postgres` of `clnrm::postgres::Postgres`.
pub(crate) fn last_name(ty: &Type) -> Option<String> {
    match without_group(ty) {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

/// `T` of `Box<T>` and the like, with the name of what is around it.
pub(crate) fn wrapped(ty: &Type) -> Option<(String, &Type)> {
    const WRAPPERS: [&str; 4] = ["Box", "Rc", "Arc", "Vec"];
    let name = last_name(ty)?;
    match WRAPPERS.contains(&name.as_str()) {
        true => Some((name, argument(ty)?)),
        false => None,
    }
}

/// What to write instead of a wrapped service.
pub(crate) fn unwrapped(service: &Type, optional: bool) -> String {
    match optional {
        true => format!("Option<{}>", written(service)),
        false => written(service),
    }
}

/// Whether it is the type of any service's handle, which does not say of which.
pub(crate) fn is_any_handle(ty: &Type) -> bool {
    last_name(ty).as_deref() == Some("ServiceHandle")
}

/// The type as a person writes it.
pub(crate) fn written(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    [
        (" :: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
    ]
    .iter()
    .fold(text, |text, (spaced, close)| text.replace(spaced, close))
}
