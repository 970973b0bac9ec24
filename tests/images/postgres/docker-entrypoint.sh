#!/usr/bin/env bash
# Initialises an empty $PGDATA from POSTGRES_* and /docker-entrypoint-initdb.d, then becomes the command.
set -euo pipefail
shopt -s nullglob

say() { printf 'entrypoint: %s\n' "$*"; }
fail() { printf 'entrypoint: error: %s\n' "$*" >&2; exit 1; }

# Sets NAME from the environment, from the file that NAME_FILE names, or to a default.
setting() {
    local name=$1 default=${2:-} file="${1}_FILE"
    if [[ -n ${!file:-} ]]; then
        [[ -z ${!name:-} ]] || fail "\`$name\` and \`$file\` are both set (hint: unset one)"
        [[ -r ${!file} ]] || fail "cannot read \`${!file}\`, which \`$file\` names"
        printf -v "$name" '%s' "$(<"${!file}")"
    else
        printf -v "$name" '%s' "${!name:-$default}"
    fi
    export "${name?}"
    unset "$file"
}

# Whether the arguments only ask the server binary a question, which needs no data directory.
asks_only() {
    local argument
    for argument; do
        case $argument in
            -'?' | --help | --describe-config | -V | --version | -C) return 0 ;;
        esac
    done
    return 1
}

# Makes the directories that the server writes to, and as root gives them to `postgres`.
prepare_directories() {
    local directory
    for directory in "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}; do
        mkdir -p "$directory"
        # A container that runs as another user may not own the directory; initdb judges then.
        chmod 0700 "$directory" 2>/dev/null || true
        ((EUID != 0)) || find "$directory" ! -user postgres -exec chown postgres '{}' +
    done
    mkdir -p /var/run/postgresql
    chmod 3775 /var/run/postgresql 2>/dev/null || true
    ((EUID != 0)) || chown -R postgres /var/run/postgresql
}

read_settings() {
    setting POSTGRES_PASSWORD
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS
    POSTGRES_HOST_AUTH_METHOD=${POSTGRES_HOST_AUTH_METHOD:-}
    if [[ $POSTGRES_HOST_AUTH_METHOD == trust ]]; then
        say "warning: POSTGRES_HOST_AUTH_METHOD=trust lets everybody in without a password" >&2
    elif [[ -z $POSTGRES_PASSWORD ]]; then
        fail "\`$PGDATA\` is empty and no superuser password is set" \
            "(hint: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust to need none)"
    fi
}

# Runs initdb. It wants a name for the user that it runs as, so a uid without one borrows `postgres`.
create_cluster() {
    local extra=() wrapper=()
    eval "extra=($POSTGRES_INITDB_ARGS)"
    [[ -z ${POSTGRES_INITDB_WALDIR:-} ]] || extra=(--waldir "$POSTGRES_INITDB_WALDIR" "${extra[@]}")
    if ! getent passwd "$EUID" >/dev/null; then
        local passwd group library=(/usr/lib/*/libnss_wrapper.so)
        passwd=$(mktemp) group=$(mktemp)
        printf 'postgres:x:%s:%s::%s:/bin/false\n' "$EUID" "$(id -g)" "$PGDATA" >"$passwd"
        printf 'postgres:x:%s:\n' "$(id -g)" >"$group"
        wrapper=(env LD_PRELOAD="${library[0]}" NSS_WRAPPER_PASSWD="$passwd" NSS_WRAPPER_GROUP="$group")
    fi
    "${wrapper[@]}" initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${extra[@]}"
    [[ -z ${passwd:-} ]] || rm -f "$passwd" "$group"
}

# Lets remote users in, by password unless another method is asked for.
allow_remote_users() {
    local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

sql() {
    psql --set=ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"
}

create_database() {
    local known
    known=$(sql --dbname postgres --tuples-only --set=name="$POSTGRES_DB" <<<"SELECT 1 FROM pg_database WHERE datname = :'name'")
    [[ -n $known ]] || sql --dbname postgres --set=name="$POSTGRES_DB" <<<'CREATE DATABASE :"name"'
}

# In the order of their names: scripts are run, or sourced where they are not executable; SQL goes to the database.
run_init_files() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        say "init file \`$file\`"
        case $file in
            *.sh) if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
            *.sql) sql --dbname "$POSTGRES_DB" --file "$file" ;;
            *.sql.gz) gunzip --stdout "$file" | sql --dbname "$POSTGRES_DB" ;;
            *.sql.xz) xzcat "$file" | sql --dbname "$POSTGRES_DB" ;;
            *.sql.zst) zstd --decompress --stdout "$file" | sql --dbname "$POSTGRES_DB" ;;
            *) say "ignored \`$file\`: neither a script nor SQL" ;;
        esac
    done
}

# Everything that happens once per data directory, against a server that only the unix socket reaches.
initialise() {
    read_settings
    create_cluster
    allow_remote_users "$@"
    export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
    local options
    options=$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")
    PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl --pgdata="$PGDATA" --options="$options" --wait start
    create_database
    run_init_files
    PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
    unset PGPASSWORD
    say "initialised; starting the server"
}

if [[ ${1:-} == -* ]]; then
    set -- postgres "$@"
fi
if [[ ${1:-} == postgres ]] && ! asks_only "$@"; then
    prepare_directories
    if ((EUID == 0)); then
        export HOME=/var/lib/postgresql
        exec setpriv --reuid=postgres --regid=postgres --init-groups -- "${BASH_SOURCE[0]}" "$@"
    fi
    if [[ -s $PGDATA/PG_VERSION ]]; then
        say "\`$PGDATA\` holds a database already; initialisation skipped"
    else
        initialise "${@:2}"
    fi
fi
exec "$@"
