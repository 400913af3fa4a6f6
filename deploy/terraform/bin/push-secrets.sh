#!/usr/bin/env bash
# push-secrets.sh CLUSTER DIR NODE:REGION... puts the nodes' certificates and keys, as
# "tmms cert" made them in DIR, into the parameter store of each node's AWS region, where
# the node fetches them at its first start; origins (NAME-oN) get issuer.key too, if "tmms
# cert issuer" has made one. It is run again after a rotation. Nothing of it passes through
# Terraform, and no secret is an argument of a process.
#   push-secrets.sh live pki eu-o1:eu-central-1 us-o1:us-east-1
# push-secrets.sh --join CLUSTER PLANREGION:REGION FILE puts a join token there, for the
# autoscaled edges of a region. FILE is what "tmms token join" printed.
# push-secrets.sh --monitoring CLUSTER REGION TOKENFILE PASSWORDFILE puts there what the
# monitoring host needs: a token with the role read, and Grafana's admin password.
# TOKENS=FILE puts that tokens.yaml beside the rest. KEY_ID is the key to encrypt with.
set -euo pipefail
umask 077

die() { echo "push-secrets.sh: $*" >&2; exit 1; }

# put REGION NAME FILE; the request is a file, and so is not to be seen by ps.
put() {
    local request=$work/request.json
    [ -s "$3" ] || die "$3 is missing or empty"
    [ "$(wc -c <"$3")" -le 4096 ] || die "$3 has $(wc -c <"$3") bytes; a parameter holds 4096"
    python3 -c 'import json, sys
request = {"Name": sys.argv[1], "Value": open(sys.argv[2]).read().strip(), "Type": "SecureString", "Overwrite": True}
if sys.argv[3]:
    request["KeyId"] = sys.argv[3]
print(json.dumps(request))' "$2" "$3" "${KEY_ID-}" >"$request"
    aws ssm put-parameter --region "$1" --cli-input-json "file://$request" >/dev/null
    rm -f "$request"
    echo "$1 $2"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "${1-}" = --join ]; then
    [ $# = 4 ] || die "want --join CLUSTER PLANREGION:REGION FILE"
    put "${3#*:}" "/$2/join/${3%%:*}/join.token" "$4"
    if [ -n "${TOKENS-}" ]; then put "${3#*:}" "/$2/join/${3%%:*}/tokens.yaml" "$TOKENS"; fi
    exit
fi

if [ "${1-}" = --monitoring ]; then
    [ $# = 5 ] || die "want --monitoring CLUSTER REGION TOKENFILE PASSWORDFILE"
    put "$3" "/$2/monitoring/token" "$4"
    put "$3" "/$2/monitoring/admin.password" "$5"
    exit
fi

[ $# -ge 3 ] || die "want CLUSTER DIR NODE:REGION..."
cluster=$1 dir=$2
shift 2
for node in "$@"; do
    name=${node%%:*} region=${node#*:}
    [ "$name" != "$node" ] || die "$node: want NODE:REGION"
    put "$region" "/$cluster/nodes/$name/ca.crt" "$dir/ca.crt"
    put "$region" "/$cluster/nodes/$name/gossip.key" "$dir/gossip.key"
    put "$region" "/$cluster/nodes/$name/node.crt" "$dir/$name.crt"
    put "$region" "/$cluster/nodes/$name/node.key" "$dir/$name.key"
    if [ -e "$dir/issuer.key" ] && [[ $name =~ -o[0-9]+$ ]]; then
        put "$region" "/$cluster/nodes/$name/issuer.key" "$dir/issuer.key"
    fi
    if [ -n "${TOKENS-}" ]; then put "$region" "/$cluster/nodes/$name/tokens.yaml" "$TOKENS"; fi
done
