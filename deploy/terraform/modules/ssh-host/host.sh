
# What Terraform runs on the host as root, beside what it has uploaded: the files go where
# they belong, and install.sh does the rest. It may run again at any time.
set -euo pipefail
umask 022
stage=$(cd "$(dirname "$0")" && pwd)

# secret FROM TO puts a file there that only the node may read, in one step, since the
# running node may be about to read it.
secret() {
    if cmp -s "$stage/$1" "$2"; then return; fi
    install -m 0600 "$stage/$1" "$2.new"
    if [ "$INIT" = systemd ] && id tmms >/dev/null 2>&1; then chown tmms:tmms "$2.new"; fi
    mv "$2.new" "$2"
}

files() {
    local path content
    while read -r path content; do
        mkdir -p "$(dirname "$path")"
        base64 -d <<<"$content" >"$path"
    done <<<"$FILES"
}

# What was uploaded for this run goes with it. A binary that was not installed stays.
trap 'rm -f "$stage"/*.key "$stage"/*.crt "$stage"/token* "$stage/host.sh"' EXIT

files
mkdir -p "$PKI"
secret node.key "$PKI/node.key"
secret node.crt "$PKI/node.crt"
secret ca.crt "$PKI/ca.crt"
# The cluster may have changed its gossip's key since, and the node knows the new one.
if [ ! -s "$PKI/gossip.key" ]; then secret gossip.key "$PKI/gossip.key"; fi
if [ -s "$stage/tokens.yaml" ]; then secret tokens.yaml "$ETC/tokens.yaml"; else rm -f "$ETC/tokens.yaml"; fi

args=(--token "$stage/token" --drain)
if [ -n "$API" ]; then args+=("$API"); fi
if [ -s "$stage/tmms" ]; then args+=(--binary "$stage/tmms"); fi
bash "$LIB/install.sh" "${args[@]}"
rm -rf "$stage"
