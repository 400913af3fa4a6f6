# Fetches what ${path} has into $PKI and $ETC; the names are those of push-secrets.sh.
export AWS_DEFAULT_REGION=${region}
command -v aws >/dev/null || { apt-get -q update && apt-get -qy install --no-install-recommends awscli; } >&2
get() { aws ssm get-parameter --with-decryption --name "${path}/$1" --query Parameter.Value --output text >"$2.new" && mv "$2.new" "$2"; }
%{ for name, file in files ~}
get ${name} "${file}"
%{ endfor ~}
