//! The handle type of a plugin, which a test names: `db: Postgres`.

/// Makes the handle type of a plugin: a newtype over
/// [`ServiceHandle`](crate::ServiceHandle) that derefs to it and is a service.
///
/// With a plugin expression the type can be a parameter as it stands, of a
/// service with that configuration. Without one it needs a declaration:
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
        $vis:vis struct $Handle:ident: $name:literal, exports $exports:expr $(, plugin $plugin:expr)?;
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
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

        impl $crate::declare::Service for $Handle {
            const ID: &'static str = ::core::concat!(
                ::core::env!("CARGO_PKG_NAME"), "/", ::core::env!("CARGO_CRATE_NAME"), "/",
                ::core::module_path!(), "::", ::core::stringify!($Handle),
            );
            const NAME: &'static str = $name;
            const EXPORTS: &'static [&'static str] = $exports;

            fn attach(lease: $crate::declare::Attachment) -> $crate::Result<Self> {
                ::core::result::Result::Ok(Self(lease.handle))
            }
        }

        $(
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
        )?
    };
}
