//! The handle type of a plugin, which a test names: `db: Postgres`.

/// Makes the handle type of a plugin: a newtype over
/// [`ServiceHandle`](crate::ServiceHandle) that derefs to it and is a service.
///
/// With a plugin expression the type can be a parameter as it stands, of a
/// service with that configuration, and a declaration that holds it has a plugin
/// of that type. Without one nothing says what to run, and the compiler refuses
/// it as a parameter: a test names a declaration that holds it, with any plugin,
/// `#[clnrm::service(..)] struct Web(Generic);`. `exports` is what
/// `{field.export}` may name, checked by the compiler. Methods go into an
/// `impl` of one's own.
///
/// ```
/// use clnrm_runtime::service::{ContainerSpec, Login, Spec};
/// use clnrm_runtime::{Result, ServicePlugin};
///
/// #[derive(Debug, Default)]
/// struct MariaDb;
///
/// impl ServicePlugin for MariaDb {
///     fn name(&self) -> &str {
///         "maria-db"
///     }
///
///     fn spec(&self) -> Result<Option<Spec>> {
///         // …
/// #       Ok(None)
///     }
/// }
///
/// clnrm_runtime::handle! {
///     /// A running MariaDB.
///     pub struct Maria: "maria-db", exports Login::EXPORTS, plugin MariaDb::default();
/// }
///
/// fn list(db: &Maria) -> Result<String> {
///     db.url()
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! handle {
    (
        $(#[$doc:meta])*
        $vis:vis struct $Handle:ident: $name:literal, exports $exports:expr;
    ) => {
        $crate::handle! { @type $(#[$doc])* $vis $Handle }

        impl $crate::declare::Own for $Handle {
            const EXPORTS: &'static [&'static ::core::primitive::str] = $exports;

            fn own(
                lease: $crate::declare::Attachment,
                _: ::core::option::Option<$crate::declare::Configured>,
            ) -> $crate::Result<Self> {
                ::core::result::Result::Ok(Self(lease.handle))
            }

            fn check_plugin(_: &dyn ::core::any::Any, _: &::core::primitive::str) -> $crate::Result<()> {
                ::core::result::Result::Ok(())
            }
        }
    };
    (
        $(#[$doc:meta])*
        $vis:vis struct $Handle:ident: $name:literal, exports $exports:expr, plugin $plugin:expr;
    ) => {
        $crate::handle! { @type $(#[$doc])* $vis $Handle }

        impl $crate::declare::Service for $Handle {
            const ID: &'static ::core::primitive::str = ::core::concat!(
                ::core::env!("CARGO_PKG_NAME"), "/", ::core::env!("CARGO_CRATE_NAME"), "/",
                ::core::module_path!(), "::", ::core::stringify!($Handle),
            );
            const NAME: &'static ::core::primitive::str = $name;
            const EXPORTS: &'static [&'static ::core::primitive::str] = $exports;

            fn attach(lease: $crate::declare::Attachment) -> $crate::Result<Self> {
                ::core::result::Result::Ok(Self(lease.handle))
            }

            fn check_plugin(
                plugin: &dyn ::core::any::Any,
                service_type: &::core::primitive::str,
            ) -> $crate::Result<()> {
                $crate::__private::assert_same_plugin(&$plugin, plugin, service_type)
            }
        }

        $crate::__private::inventory::submit! {
            $crate::declare::ServiceDeclaration {
                id: <$Handle as $crate::declare::Service>::ID,
                name: $name,
                location: $crate::plugin::Location {
                    file: ::core::file!(),
                    line: ::core::line!(),
                },
                manifest_dir: ::core::env!("CARGO_MANIFEST_DIR"),
                scope: ::core::option::Option::None,
                optional: false,
                needs: &[],
                env: &[],
                plugin: || $crate::__private::plugin($plugin, ::core::env!("CARGO_MANIFEST_DIR")),
            }
        }
    };
    (@type $(#[$doc:meta])* $vis:vis $Handle:ident) => {
        $(#[$doc])*
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        $vis struct $Handle($crate::ServiceHandle);

        impl ::core::convert::From<$crate::ServiceHandle> for $Handle {
            fn from(handle: $crate::ServiceHandle) -> Self {
                Self(handle)
            }
        }

        impl ::core::ops::Deref for $Handle {
            type Target = $crate::ServiceHandle;

            fn deref(&self) -> &$crate::ServiceHandle {
                &self.0
            }
        }
    };
}
