//! A plugin that makes sense.

use syn::ext::IdentExt;
use syn::{
    Attribute, Data, DeriveInput, Expr, Field, Fields, Ident, Lit, LitStr, Meta, Path, Type,
    Visibility,
};

use crate::kind::{last_name, optional, written};
use crate::mistake::Mistakes;
use crate::option::{Beside, Entries, Entry, Options, Value};
use crate::root::Root;
use crate::service::name;
use crate::spec::Spec;
use crate::text::Scope;
use crate::value;

const NOTHING: &str = "add `image = \"…\"` or `program = \"…\"` to `#[plugin(..)]`";

/// Names that texts and handles use for something else.
const RESERVED: [&str; 5] = ["name", "host", "port", "data_dir", "seed_dir"];

/// Types that a configuration cannot hold, and that a user is most likely to try.
const UNKEPT: [&str; 11] = [
    "Vec", "VecDeque", "HashMap", "BTreeMap", "HashSet", "BTreeSet", "Duration", "f32", "f64",
    "char", "Box",
];

/// What the attributes and the struct say together.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) root: Root,
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) service_type: String,
    pub(crate) name: String,
    /// The crate's version when absent.
    pub(crate) version: Option<LitStr>,
    pub(crate) description: String,
    /// `Some(true)` is the run.
    pub(crate) run_scope: Option<bool>,
    pub(crate) spec: Spec,
    /// The function of `ready(plugin = path)`.
    pub(crate) exchange: Option<Path>,
    pub(crate) setters: bool,
    pub(crate) fields: Vec<Setting>,
}

/// A field of the configuration.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) form: Form,
    pub(crate) env: Option<LitStr>,
    /// `None` is for an `Option` that is `None`.
    pub(crate) default: Option<Expr>,
    pub(crate) secret: bool,
}

/// How values of a field's type are made.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// The type inside the `Option`.
    pub(crate) optional: Option<Type>,
    /// Whether `Into` makes it from a `&str`.
    pub(crate) from_text: bool,
    /// Whether the type hides its value already.
    pub(crate) is_secret: bool,
}

impl Plugin {
    /// Reads and checks everything; every mistake is in the error.
    pub(crate) fn new(root: Root, input: &DeriveInput) -> syn::Result<Self> {
        let mut mistakes = Mistakes::default();
        if !input.generics.params.is_empty() {
            mistakes.on(
                &input.generics,
                "a plugin has no generics: its type stands for one type of service (hint: write one struct for each)",
            );
        }
        let mut options = options(&input.attrs, &mut mistakes);
        let crate_path = options.take(&mut mistakes, "crate", value::path("::clnrm"));
        let has_type = options.has(&["type"]);
        let service_type = options.take(&mut mistakes, "type", name);
        let said_name = options.take(&mut mistakes, "name", name);
        let version = options.take(&mut mistakes, "version", version);
        let description =
            options.take(&mut mistakes, "description", value::text("Object storage."));
        let scopes = [("run", true), ("test", false)];
        let run_scope = options.take(&mut mistakes, "scope", value::choice(&scopes));
        let setters = options.take(&mut mistakes, "setters", on_or_off);
        options.refuse(
            &mut mistakes,
            &["bin", "package"],
            "is for a service of the workspace (hint: use `#[clnrm::service(bin = \"…\")]`, or `program`)",
        );
        let spec = Spec::take(&mut options, &mut mistakes);
        if !has_type && !options.is_left() {
            mistakes.at(
                input.ident.span(),
                "the plugin has no type (hint: add `type = \"minio\"` to `#[plugin(..)]`)",
            );
        }
        let fields = settings(input, &mut mistakes);
        if !options.is_left() {
            spec.check(&mut mistakes, NOTHING);
        }
        let exchange = spec.exchange(true, &mut mistakes);
        check_texts(&spec, &fields, &mut mistakes);
        options.finish(&mut mistakes, Beside::Nothing);

        let service_type = service_type.map(|given| given.value.value());
        let service_type = service_type.unwrap_or_default();
        mistakes.finish(Some(Self {
            root: root.or(crate_path.map(|given| given.value)),
            ident: input.ident.clone(),
            vis: input.vis.clone(),
            name: said_name.map_or_else(|| service_type.clone(), |given| given.value.value()),
            service_type,
            version: version.map(|given| given.value),
            description: description
                .map_or_else(|| first_line(&input.attrs), |given| given.value.value()),
            run_scope: run_scope.map(|given| given.value),
            spec,
            exchange,
            setters: setters.is_none_or(|given| given.value),
            fields,
        }))
    }
}

/// The options of every `#[plugin(…)]` in `attributes`.
fn options(attributes: &[Attribute], mistakes: &mut Mistakes) -> Options {
    let mut entries = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("plugin") {
            let parsed = attribute.parse_args::<Entries>();
            entries.extend(mistakes.keep(parsed).unwrap_or_default().0);
        }
    }
    Options::new(Entries(entries))
}

fn settings(input: &DeriveInput, mistakes: &mut Mistakes) -> Vec<Setting> {
    let refuse =
        "a plugin is a struct of its settings (hint: write `struct Minio { user: String }`)";
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => {
            mistakes.on(data.enum_token, refuse);
            return Vec::new();
        }
        Data::Union(data) => {
            mistakes.on(data.union_token, refuse);
            return Vec::new();
        }
    };
    if let Fields::Unnamed(tuple) = fields {
        mistakes.on(
            tuple,
            "the fields have no names (hint: write `{ user: String }`)",
        );
        return Vec::new();
    }
    fields
        .iter()
        .filter_map(|field| setting(field, mistakes))
        .collect()
}

fn setting(field: &Field, mistakes: &mut Mistakes) -> Option<Setting> {
    let ident = field.ident.clone()?;
    let mut options = options(&field.attrs, mistakes);
    let env = options.take(mistakes, "env", value::text("MINIO_ROOT_USER"));
    let default = options.take(mistakes, "default", default);
    let secret = options.take(mistakes, "secret", value::flag);
    let misspelt = options.is_left();
    options.finish(mistakes, Beside::Nothing);
    let form = Form::of(&field.ty);
    if default.is_none() && form.optional.is_none() && !misspelt {
        mistakes.push(no_default(&ident, &field.ty, &form));
    }
    if RESERVED.contains(&ident.unraw().to_string().as_str()) {
        mistakes.at(
            ident.span(),
            format!("`{{{ident}}}` in a text means something else already (hint: give the field another name)"),
        );
    }
    Some(Setting {
        ident,
        ty: field.ty.clone(),
        env: env.map(|given| given.value),
        default: default.map(|given| given.value),
        secret: secret.is_some() || form.is_secret,
        form,
    })
}

/// The mistake of a field that says no default: the type's, where no default would mend it.
fn no_default(ident: &Ident, ty: &Type, form: &Form) -> syn::Error {
    let name = last_name(ty).unwrap_or_default();
    if UNKEPT.contains(&name.as_str()) || matches!(ty, Type::Array(_) | Type::Tuple(_)) {
        let message = format!(
            "a derived plugin cannot keep a `{}` (hint: use `String`, `Secret`, `bool`, an integer, `PathBuf` or an `Option` of one; for more, implement `ServicePlugin` by hand)",
            written(ty)
        );
        return syn::Error::new_spanned(ty, message);
    }
    let example = match (form.from_text, name.as_str()) {
        (true, _) => "\"…\"",
        (_, "bool") => "false",
        (_, integer) if integer.starts_with(['u', 'i']) => "0",
        _ => "…",
    };
    let message = format!(
        "`{ident}` has no value when nobody gives one (hint: write `#[plugin(default = {example})]`, or make it an `Option`)"
    );
    syn::Error::new(ident.span(), message)
}

impl Form {
    fn of(ty: &Type) -> Self {
        let optional = optional(ty).cloned();
        let inner = optional.as_ref().unwrap_or(ty);
        let name = last_name(inner);
        let is_secret = name.as_deref() == Some("Secret");
        let from_text = is_secret || matches!(name.as_deref(), Some("String" | "PathBuf"));
        Self {
            optional,
            from_text,
            is_secret,
        }
    }
}

fn check_texts(spec: &Spec, fields: &[Setting], mistakes: &mut Mistakes) {
    let vars = fields
        .iter()
        .map(|field| {
            let always = field.form.optional.is_none() || field.default.is_some();
            (field.ident.unraw().to_string(), always)
        })
        .collect::<Vec<_>>();
    let scope = Scope {
        ports: &spec.ports,
        vars: &vars,
        ..Scope::default()
    };
    spec.check_texts(&scope, mistakes);
    for (name, _) in &spec.env {
        if let Some(field) = fields
            .iter()
            .filter_map(|field| field.env.as_ref())
            .find(|env| env.value() == name.value())
        {
            let message = format!("`{}` is given twice (hint: keep one)", name.value());
            mistakes.at(field.span(), message);
        }
    }
}

fn default(entry: &Entry) -> syn::Result<Expr> {
    match &entry.value {
        Value::Equals(value) => Ok(value.as_ref().clone()),
        _ => Err(entry.takes("a value", "default = \"minioadmin\"")),
    }
}

fn on_or_off(entry: &Entry) -> syn::Result<bool> {
    if let Value::Equals(value) = &entry.value
        && let Expr::Lit(literal) = value.as_ref()
        && let Lit::Bool(literal) = &literal.lit
    {
        return Ok(literal.value);
    }
    Err(entry.takes("`true` or `false`", "setters = false"))
}

/// Three numbers, as cargo wants them; what may follow them is not read here.
fn version(entry: &Entry) -> syn::Result<LitStr> {
    let version = value::text("1.0.0")(entry)?;
    let text = version.value();
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let parts = numbers.split('.').collect::<Vec<_>>();
    if parts.len() == 3 && parts.iter().all(|part| part.parse::<u64>().is_ok()) {
        return Ok(version);
    }
    let message = format!("`{text}` is no version");
    Err(value::mistake(
        version.span(),
        message,
        "version = \"1.0.0\"",
    ))
}

/// The first line of the doc comment.
fn first_line(attributes: &[Attribute]) -> String {
    let docs = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some(text.value().trim().to_owned()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
    docs.into_iter()
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}
