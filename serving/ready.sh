# Written by `python scripts/publish.py files`, which replaces this file. To edit it, delete this line.
# Succeeds once every model has a version that answers. The server's image has bash and no curl.
# Usage: bash ready.sh [PORT]
for model in legan; do
  exec 3<>"/dev/tcp/127.0.0.1/${1:-8501}" || exit 1
  printf 'GET /v1/models/%s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$model" >&3
  grep -q '"state": *"AVAILABLE"' <&3 || { echo "$model is not available" >&2; exit 1; }
  exec 3>&-
done
