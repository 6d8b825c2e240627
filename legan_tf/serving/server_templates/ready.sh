# Succeeds once every model (all) or some model (any) has a version that answers.
# Usage: bash ready.sh [all|any] [PORT]. The server's image has bash and no curl.
missing=
for model in @MODELS@; do
  exec 3<>"/dev/tcp/127.0.0.1/${2:-8501}" || exit 1
  printf 'GET /v1/models/%s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$model" >&3
  if grep -q '"state": *"AVAILABLE"' <&3; then
    [ "$1" = any ] && exit 0
  else
    echo "$model is not available" >&2
    missing=yes
  fi
  exec 3>&-
done
[ -z "$missing" ]
