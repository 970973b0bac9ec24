//! A test that makes sense.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{FnArg, Ident, ItemFn, Pat, ReturnType, Safety, Signature, Token, Type};

use super::attribute::Attributes;
use crate::hint;
use crate::kind::{optional, without_group, written};
use crate::mistake::Mistakes;
use crate::option::{Beside, Entries, Entry, Given, Options, Value};
use crate::root::Root;
use crate::value;

/// The longest tuple that the runtime can build.
const MOST: usize = 12;

/// What the attribute and the function say together.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) root: Root,
    pub(crate) attributes: Attributes,
    /// The user's function, without attributes.
    pub(crate) function: ItemFn,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) timeout_ms: u64,
    pub(crate) runtime: Runtime,
    pub(crate) fresh: bool,
    /// The types of the parameters that the test shares with the run.
    pub(crate) shared: Vec<Type>,
}

/// What the body runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Runtime {
    /// The test's own thread.
    None,
    /// A runtime of one thread.
    CurrentThread,
    /// A runtime of several; 0 is one for each core.
    MultiThread { workers: usize },
}

/// What the test asks for.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// Its name, `_` included.
    pub(crate) name: String,
    /// Its type, without a reference.
    pub(crate) ty: Type,
    /// Whether the function takes a reference.
    pub(crate) by_ref: bool,
}

impl Test {
    /// Reads and checks everything; every mistake is in the error.
    pub(crate) fn new(root: Root, arguments: Entries, mut function: ItemFn) -> syn::Result<Self> {
        let mut mistakes = Mistakes::default();
        let attributes = Attributes::sort(&function.attrs, &mut mistakes);
        function.attrs.clear();
        check_signature(&function.sig, &attributes, &mut mistakes);
        let parameters = parameters(&function.sig, &mut mistakes);

        let mut options = Options::new(arguments);
        let crate_path = options.take(&mut mistakes, "crate", value::path("::clnrm"));
        let timeout = options.take(&mut mistakes, "timeout", value::time("30s"));
        let fresh = options.take(&mut mistakes, "fresh", value::flag);
        let shared = options.take(&mut mistakes, "shared", names);
        let runtime = runtime(&function.sig, &mut options, &mut mistakes);
        options.finish(&mut mistakes, Beside::Nothing);
        if let (Some(_), Some(shared)) = (&fresh, &shared) {
            mistakes.at(
                shared.span,
                "`fresh` makes every service the test's own, `shared(..)` takes the run's (hint: keep one)",
            );
        }
        let shared = shared.map(|shared| shared_types(&shared.value, &parameters, &mut mistakes));
        mistakes.finish(Some(Self {
            root: root.or(crate_path.map(|given| given.value)),
            attributes,
            function,
            parameters,
            timeout_ms: timeout.map_or(0, |given| given.value),
            runtime,
            fresh: fresh.is_some(),
            shared: shared.unwrap_or_default(),
        }))
    }
}

fn check_signature(signature: &Signature, attributes: &Attributes, mistakes: &mut Mistakes) {
    if !signature.generics.params.is_empty() {
        mistakes.on(
            &signature.generics,
            "a test has no generics and no lifetimes: nobody chooses them (hint: name the types, and take `&T` without a lifetime)",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        mistakes.on(
            clause,
            "a test has nothing to bound (hint: remove the `where` clause)",
        );
    }
    let mut refuse = |keyword: Option<&dyn ToTokens>, name: &str| {
        if let Some(keyword) = keyword {
            mistakes.on(
                keyword,
                format!("a test is no `{name}` function (hint: remove `{name}`)"),
            );
        }
    };
    refuse(signature.constness.as_ref().map(|it| it as _), "const");
    if let Safety::Unsafe(keyword) = &signature.safety {
        refuse(Some(keyword), "unsafe");
    }
    refuse(signature.abi.as_ref().map(|it| it as _), "extern");
    if let Some(variadic) = &signature.variadic {
        mistakes.on(
            variadic,
            "a test names what it needs one by one (hint: remove `...`)",
        );
    }
    if let (true, ReturnType::Type(_, ty)) = (attributes.should_panic, &signature.output)
        && !matches!(without_group(ty), Type::Tuple(unit) if unit.elems.is_empty())
    {
        mistakes.on(
            ty,
            "a test that should panic returns nothing (hint: remove the return type, and `unwrap` inside)",
        );
    }
}

fn parameters(signature: &Signature, mistakes: &mut Mistakes) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => mistakes.on(
                receiver,
                "a test is a free function (hint: move it out of the `impl` block and remove `self`)",
            ),
            FnArg::Typed(input) => {
                for attribute in &input.attrs {
                    if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                        mistakes.on(
                            attribute,
                            "what a test needs cannot depend on a condition (hint: write two tests, one under `#[cfg(..)]` and one under `#[cfg(not(..))]`)",
                        );
                    }
                }
                let name = mistakes.keep(name(&input.pat, &input.ty));
                let ty = mistakes.keep(service(&input.ty, name.as_deref().unwrap_or("db")));
                if let (Some(name), Some((ty, by_ref))) = (name, ty) {
                    parameters.push(Parameter { name, ty, by_ref });
                }
            }
        }
    }
    if parameters.len() > MOST {
        mistakes.on(
            &signature.inputs,
            format!(
                "{} parameters, and a test takes {MOST} at most (hint: put some into a fixture: `impl clnrm::Fixture`)",
                parameters.len()
            ),
        );
    }
    parameters
}

/// The name of a parameter: `db`, `mut db` or `_`.
fn name(pattern: &Pat, ty: &Type) -> syn::Result<String> {
    match pattern {
        Pat::Wild(_) => Ok("_".to_owned()),
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
            Ok(pattern.ident.to_string())
        }
        _ => {
            let message = format!(
                "a parameter is a plain name (hint: write `service: {}`, and take it apart in the body)",
                written(ty)
            );
            Err(syn::Error::new_spanned(pattern, message))
        }
    }
}

/// The type without its reference, and whether it had one.
fn service(ty: &Type, name: &str) -> syn::Result<(Type, bool)> {
    match without_group(ty) {
        Type::Reference(reference) => {
            let inner = written(&reference.elem);
            if reference.mutability.is_some() {
                let message =
                    format!("a test owns what it needs (hint: write `mut {name}: {inner}`)");
                return Err(syn::Error::new_spanned(ty, message));
            }
            if let Some(lifetime) = &reference.lifetime {
                let message =
                    format!("a service lives as long as its test (hint: write `{name}: &{inner}`)");
                return Err(syn::Error::new_spanned(lifetime, message));
            }
            let (inner, by_ref) = service(&reference.elem, name)?;
            if by_ref {
                let message = format!(
                    "one reference is enough (hint: write `{name}: &{}`)",
                    written(&inner)
                );
                return Err(syn::Error::new_spanned(ty, message));
            }
            Ok((inner, true))
        }
        Type::Slice(_) | Type::TraitObject(_) => Err(unsized_type(ty, name)),
        Type::Path(path) if path.path.is_ident("str") => Err(unsized_type(ty, name)),
        Type::ImplTrait(_) => Err(syn::Error::new_spanned(
            ty,
            format!(
                "`impl Trait` does not say which service (hint: name a type: `{name}: Postgres`)"
            ),
        )),
        _ => {
            if let Some(Type::Reference(inner)) = optional(ty).map(without_group) {
                let inner = written(&inner.elem);
                let message = format!(
                    "an option of a reference (hint: write `{name}: Option<{inner}>` or `{name}: &Option<{inner}>`)"
                );
                return Err(syn::Error::new_spanned(ty, message));
            }
            Ok((ty.clone(), false))
        }
    }
}

/// The mistake of a type without a size, which the compiler would tell of
/// wherever the value goes.
fn unsized_type(ty: &Type, name: &str) -> syn::Error {
    let message = format!(
        "`{}` is neither a service nor a fixture: it has no size (hint: name one: `{name}: &Postgres`)",
        written(ty)
    );
    syn::Error::new_spanned(ty, message)
}

fn runtime(signature: &Signature, options: &mut Options, mistakes: &mut Mistakes) -> Runtime {
    let flavors = [("current_thread", false), ("multi_thread", true)];
    let flavor = options.take(mistakes, "flavor", value::choice(&flavors));
    let workers = options.take(mistakes, "worker_threads", workers);
    if signature.asyncness.is_none() {
        let spans = [
            ("flavor", flavor.map(|given| given.span)),
            ("worker_threads", workers.map(|given| given.span)),
        ];
        for (name, span) in spans {
            if let Some(span) = span {
                let message = format!(
                    "`{name}` is about a runtime, and only an `async fn` has one (hint: make the test `async`, or remove `{name}`)"
                );
                mistakes.at(span, message);
            }
        }
        return Runtime::None;
    }
    match (flavor, workers) {
        (Some(Given { value: true, .. }), workers) => Runtime::MultiThread {
            workers: workers.map_or(0, |given| given.value),
        },
        (_, Some(workers)) => {
            mistakes.at(
                workers.span,
                "`worker_threads` is about a runtime of several threads (hint: add `flavor = \"multi_thread\"`)",
            );
            Runtime::CurrentThread
        }
        _ => Runtime::CurrentThread,
    }
}

fn workers(entry: &Entry) -> syn::Result<usize> {
    match value::number("2")(entry)? {
        0 => Err(entry.takes("a number from 1", "worker_threads = 2")),
        workers => Ok(workers),
    }
}

/// The names of `shared(a, b)`.
fn names(entry: &Entry) -> syn::Result<Vec<Ident>> {
    let refuse = || entry.takes("names of parameters", "shared(db)");
    let Value::List(_, list) = &entry.value else {
        return Err(refuse());
    };
    let parse = Punctuated::<Ident, Token![,]>::parse_terminated;
    let names = syn::parse::Parser::parse2(parse, list.clone()).map_err(|_| refuse())?;
    if names.is_empty() {
        return Err(refuse());
    }
    Ok(names.into_iter().collect())
}

fn shared_types(names: &[Ident], parameters: &[Parameter], mistakes: &mut Mistakes) -> Vec<Type> {
    let mut types = Vec::new();
    for name in names {
        let found = parameters.iter().find(|parameter| *name == parameter.name);
        match found {
            Some(parameter) => types.push(parameter.ty.clone()),
            None => {
                let known = parameters.iter().map(|parameter| parameter.name.as_str());
                let hint = hint::instead(&name.to_string(), known);
                mistakes.at(
                    name.span(),
                    format!("`shared` names no parameter `{name}` (hint: {hint})"),
                );
            }
        }
    }
    types
}
