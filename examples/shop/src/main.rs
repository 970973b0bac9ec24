//! `shop` serves the API; `shop migrate` creates its tables. Both are configured by the environment.

use std::{env, error::Error, process::ExitCode};

use shop::{App, Config, config};

#[tokio::main]
async fn main() -> ExitCode {
    shop::run(start()).await
}

async fn start() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        None => {
            let config = Config::read(&config::from_env)?;
            let address = config.listen;
            let app = App::connect(config).await?;
            shop::serve(address, shop::router(app)).await?;
        }
        Some("migrate") => {
            shop::migrate(&shop::pool(config::database(&config::from_env)?)?).await?
        }
        Some(other) => {
            let hint = "`shop` serves, `shop migrate` creates the tables";
            return Err(format!("`{other}` is not a command (hint: {hint})").into());
        }
    }
    Ok(())
}
