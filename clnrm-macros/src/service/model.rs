//! A service that makes sense.

use heck::ToKebabCase;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, Field, Fields, Ident, Index, ItemStruct, LitStr, Member, Type};

use super::parse::Arguments;
use crate::kind::{is_any_handle, optional, unwrapped, without_group, wrapped};
use crate::mistake::Mistakes;
use crate::option::{Beside, Entry, Options};
use crate::root::Root;
use crate::spec::{self, Spec};
use crate::text::{ExportUse, Scope, Text};
use crate::value;

const NOTHING: &str = "add `image = \"…\"`, `bin = \"…\"` or `program = \"…\"`, or a plugin as the first argument: `clnrm::postgres::plugin()`";

/// What the attribute and the struct say together.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) root: Root,
    pub(crate) ident: Ident,
    /// The conditions under which the struct is there.
    pub(crate) cfg: Vec<Attribute>,
    pub(crate) name: String,
    pub(crate) runs: Runs,
    pub(crate) own: Option<Own>,
    pub(crate) needs: Vec<Need>,
    pub(crate) env: Vec<(LitStr, Text)>,
    /// `Some(true)` is the run.
    pub(crate) run_scope: Option<bool>,
    pub(crate) optional: bool,
    /// The exports of dependencies that some text names.
    pub(crate) uses: Vec<ExportUse>,
}

/// What runs it.
#[derive(Debug)]
pub(crate) enum Runs {
    /// The options.
    Spec(Box<Spec>),
    /// A plugin.
    Plugin(Box<Expr>),
}

/// The field that is the service itself, and its type.
pub(crate) type Own = (Member, Type);

/// A dependency: a field.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) field: Ident,
    /// The service, without its `Option`.
    pub(crate) service: Type,
    pub(crate) optional: bool,
}

impl Service {
    /// Reads and checks everything; every mistake is in the error.
    pub(crate) fn new(root: Root, arguments: Arguments, item: &ItemStruct) -> syn::Result<Self> {
        let mut mistakes = Mistakes::default();
        if !item.generics.params.is_empty() {
            mistakes.on(
                &item.generics,
                "a service has no generics: each type is one service (hint: declare a struct for each)",
            );
        }
        let (own, needs) = fields(&item.fields, &mut mistakes);

        let mut options = Options::new(arguments.options);
        let crate_path = options.take(&mut mistakes, "crate", value::path("::clnrm"));
        let said_name = options.take(&mut mistakes, "name", name);
        let scopes = [("run", true), ("test", false)];
        let run_scope = options.take(&mut mistakes, "scope", value::choice(&scopes));
        let optional = options.take(&mut mistakes, "optional", value::flag);
        let beside = match arguments.plugin {
            Some(_) => Beside::Plugin,
            None => Beside::NoPlugin,
        };
        let (runs, env, uses) = match arguments.plugin {
            Some(plugin) => {
                let env = spec::take_env(&mut options, &mut mistakes);
                let uses = check_env(&env, own.as_ref(), &needs, &mut mistakes);
                options.refuse(
                    &mut mistakes,
                    &spec::OPTIONS,
                    "is the plugin's to say (hint: call a method of the plugin instead)",
                );
                (Runs::Plugin(Box::new(plugin)), env, uses)
            }
            None => {
                let mut spec = Spec::take(&mut options, &mut mistakes);
                // A misspelt option may be the one that is missing.
                if !options.is_left() {
                    spec.check(&mut mistakes, NOTHING);
                }
                spec.exchange(false, &mut mistakes);
                let pairs = pairs(&needs);
                let scope = Scope {
                    ports: &spec.ports,
                    needs: &pairs,
                    own: own.as_ref().and_then(own_ident),
                    ..Scope::default()
                };
                let uses = spec.check_texts(&scope, &mut mistakes);
                let env = std::mem::take(&mut spec.env);
                (Runs::Spec(Box::new(spec)), env, uses)
            }
        };
        options.finish(&mut mistakes, beside);
        mistakes.finish(Some(Self {
            root: root.or(crate_path.map(|given| given.value)),
            ident: item.ident.clone(),
            cfg: item
                .attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("cfg"))
                .cloned()
                .collect(),
            name: said_name.map_or_else(
                || item.ident.unraw().to_string().to_kebab_case(),
                |given| given.value.value(),
            ),
            runs,
            own,
            needs,
            env,
            run_scope: run_scope.map(|given| given.value),
            optional: optional.is_some(),
            uses,
        }))
    }
}

fn check_env(
    env: &[(LitStr, Text)],
    own: Option<&Own>,
    needs: &[Need],
    mistakes: &mut Mistakes,
) -> Vec<ExportUse> {
    let pairs = pairs(needs);
    let scope = Scope {
        needs: &pairs,
        own: own.and_then(own_ident),
        open: true,
        ..Scope::default()
    };
    let texts = env.iter().map(|(_, text)| text);
    texts
        .flat_map(|text| text.check(&scope, mistakes))
        .collect()
}

fn pairs(needs: &[Need]) -> Vec<(String, Type)> {
    let pair = |need: &Need| (need.field.unraw().to_string(), need.service.clone());
    needs.iter().map(pair).collect()
}

fn own_ident((member, _): &Own) -> Option<&Ident> {
    match member {
        Member::Named(ident) => Some(ident),
        Member::Unnamed(_) => None,
    }
}

/// `handle`, or the only field of a tuple struct, is the service itself; every other field is a dependency.
pub(crate) fn fields(fields: &Fields, mistakes: &mut Mistakes) -> (Option<Own>, Vec<Need>) {
    let mut own = None;
    let mut needs = Vec::new();
    match fields {
        Fields::Unit => {}
        Fields::Unnamed(tuple) => {
            for (position, field) in tuple.unnamed.iter().enumerate() {
                if position == 0 {
                    let member = Member::Unnamed(Index::from(0));
                    own = Some((member, field.ty.clone()));
                } else {
                    mistakes.on(
                        &field.ty,
                        "a tuple struct holds the service itself alone (hint: name the fields to add dependencies: `{ handle: ServiceHandle, db: Postgres }`)",
                    );
                }
            }
        }
        Fields::Named(named) => {
            for field in &named.named {
                let Some(ident) = &field.ident else { continue };
                if is_own(field) {
                    own = Some((Member::Named(ident.clone()), field.ty.clone()));
                    continue;
                }
                if matches!(ident.unraw().to_string().as_str(), "host" | "port") {
                    let message = format!(
                        "`{{{ident}.…}}` in a text means the service's own {ident}s (hint: give the field another name)"
                    );
                    mistakes.on(ident, message);
                }
                let need = need(ident, &field.ty);
                if is_any_handle(&need.service) {
                    let has_own = named.named.iter().any(is_own);
                    mistakes.on(ident, second_handle(ident, has_own));
                    // What reads it through the struct is not to be reported too.
                    own = own.or_else(|| Some((Member::Named(ident.clone()), field.ty.clone())));
                    continue;
                }
                if let Some((wrapper, service)) = wrapped(&need.service) {
                    let service = unwrapped(service, need.optional);
                    mistakes.on(&field.ty, in_wrapper(ident, &wrapper, &service));
                    continue;
                }
                needs.push(need);
            }
        }
    }
    for attribute in fields.iter().flat_map(|field| &field.attrs) {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            mistakes.on(
                attribute,
                "what a service needs cannot depend on a condition (hint: declare two structs, one under `#[cfg(..)]` and one under `#[cfg(not(..))]`)",
            );
        }
    }
    let types = fields.iter().map(|field| &field.ty);
    for reference in types.filter(|ty| matches!(without_group(ty), Type::Reference(_))) {
        mistakes.on(
            reference,
            "a service owns its handles (hint: write the type without `&`)",
        );
    }
    (own, needs)
}

fn is_own(field: &Field) -> bool {
    field.ident.as_ref().is_some_and(|ident| ident == "handle")
}

/// The mistake of a `ServiceHandle` in another field than `handle`.
fn second_handle(ident: &Ident, has_own: bool) -> String {
    match has_own {
        false => format!(
            "the field that is the service itself is called `handle` (hint: write `handle: ServiceHandle` instead of `{ident}`)"
        ),
        true => format!(
            "a `ServiceHandle` besides `handle` does not say which service it is of (hint: write a service's type, as `{ident}: Postgres`)"
        ),
    }
}

/// The mistake of a dependency in a `Box`, which the compiler asks for where
/// services need each other in a circle.
fn in_wrapper(ident: &Ident, wrapper: &str, service: &str) -> String {
    format!(
        "a dependency is in no `{wrapper}` (hint: write `{ident}: {service}`; if the type is then recursive, the services need each other in a circle and none could start first: remove a field)"
    )
}

fn need(field: &Ident, ty: &Type) -> Need {
    let inner = optional(ty);
    Need {
        field: field.clone(),
        optional: inner.is_some(),
        service: inner.unwrap_or(ty).clone(),
    }
}

/// A name that filters, host names and `CLNRM_<NAME>_URL` can take.
pub(crate) fn name(entry: &Entry) -> syn::Result<LitStr> {
    let name = value::text("orders-db")(entry)?;
    let text = name.value();
    let kebab = text.split('-').all(|word| {
        !word.is_empty()
            && word
                .chars()
                .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit())
    });
    if kebab {
        return Ok(name);
    }
    let message = format!("`{text}` is no name: lower-case letters, digits and `-` make one");
    let example = match text.to_kebab_case() {
        example if example.is_ascii() && !example.is_empty() => example,
        _ => "orders-db".to_owned(),
    };
    Err(value::mistake(name.span(), message, &example))
}
