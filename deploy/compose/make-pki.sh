#!/bin/sh
# make-pki.sh DIR NODE...: the CA and a certificate for each node, those that are missing.
set -eu
dir=$1
shift
[ -f "$dir/ca.crt" ] || tmms cert init --dir "$dir"
for node; do
    [ -f "$dir/$node.crt" ] || tmms cert node "$node" --roles origin,edge --dir "$dir"
done
