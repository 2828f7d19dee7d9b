#!/usr/bin/env bash
# docker/image.sh build | test: builds the image, or runs the main job in it, with docker, podman or buildah.
# IMAGE, PYTHON_IMAGE (a base of your own) and ODBC_DRIVER may be set; BUILD_OPTIONS go to the builder as they are.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE=${IMAGE:-safetyamp-pipelines:$VERSION}
for builder in docker podman buildah none; do
  case $builder in
    none) echo "skipped: neither docker, podman nor buildah works here"; exit 0 ;;
    *) $builder info >/dev/null 2>&1 && break ;;
  esac
done

build() {
  local options=(--build-arg "ODBC_DRIVER=${ODBC_DRIVER:-microsoft}" --build-arg "VERSION=$VERSION"
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" --tag "$IMAGE")
  [ -n "${PYTHON_IMAGE:-}" ] && options+=(--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE")
  # Only Docker's own format has a health check.
  [ "$builder" != docker ] && options+=(--format docker)
  # shellcheck disable=SC2086
  $builder build "${options[@]}" ${BUILD_OPTIONS:-} .
}

# What runs inside: the embedded world beside the product, then the job, twice; the second run may write nothing.
read -r -d '' STORY <<'STORY' || true
set -euo pipefail
test "$(id -u)" = 10001
grep -qE "^CapEff:\s0+$" /proc/self/status
grep -qE "^NoNewPrivs:\s1$" /proc/self/status
grep -qE "^\S+ / \S+ ro(,|\s)" /proc/self/mounts
test "$(sed 1,2d /proc/net/dev | cut -d : -f 1 | tr -d ' ')" = lo
for name in gcc cc pip; do command -v $name >/dev/null && { echo "$name is in the image"; exit 1; }; done
python -m safetyamp_pipelines.sandbox --employees 60 --jobs 30 --vehicles 10 --no-mess --calls 6000 --env-file /tmp/world.env &
trap 'kill %1' EXIT
until [ -s /tmp/world.env ]; do sleep 0.2; done
while IFS= read -r line; do [[ $line = \#* ]] || export "${line?}"; done < /tmp/world.env
cp /opt/dagster/dagster.yaml "$DAGSTER_HOME"
dagster job execute -m safetyamp_pipelines.definitions -j sync_all
safetyamp sync --json | python -c 'import json, sys; second = json.load(sys.stdin); print(second["entities"]); sys.exit(second["writes"])'
safetyamp doctor
safetyamp serve --port 8080 --metrics-port 9090 &
trap 'kill %1 %2' EXIT
python - <<'ASK'
import time, urllib.request
for attempt in range(60):
    try:
        urllib.request.urlopen("http://127.0.0.1:9090/live", timeout=5)
        break
    except OSError:
        time.sleep(1)
figures = urllib.request.urlopen("http://127.0.0.1:9090/metrics", timeout=60).read().decode()
assert "\nsafetyamp_ledger_up 1.0" in figures, figures
assert urllib.request.urlopen("http://127.0.0.1:8080/", timeout=60).status == 200
ASK
STORY

run() {
  local world=$PWD/safetyamp_pipelines/sandbox inside
  inside=/opt/safetyamp/lib/python3.11/site-packages/safetyamp_pipelines/sandbox
  if [ "$builder" != buildah ]; then
    $builder run --rm --read-only --network none --user 10001:10001 --cap-drop ALL --security-opt no-new-privileges \
      --tmpfs /tmp --tmpfs /opt/dagster/dagster_home:uid=10001 --tmpfs /var/lib/safetyamp:uid=10001 \
      --volume "$world:$inside:ro" "$IMAGE" bash -c "$STORY"
    return
  fi
  # buildah has no such options: namespaces and mounts are made by hand, as root.
  local root
  container=$(buildah from --pull-never "$IMAGE")
  trap 'buildah rm "$container" >/dev/null' EXIT
  root=$(buildah mount "$container")
  mkdir -p "$root$inside"
  echo "127.0.0.1 localhost" > "$root/etc/hosts"
  unshare --mount --net --pid --fork --propagation private bash -euo pipefail -c '
    root=$1 world=$2 inside=$3 story=$4
    ip link set lo up
    mount --bind "$root" "$root"
    mount --bind -o ro "$world" "$root$inside"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for place in /tmp /opt/dagster/dagster_home /var/lib/safetyamp; do mount -t tmpfs -o uid=10001,gid=10001,mode=1777 tmpfs "$root$place"; done
    mount -o remount,bind,ro "$root"
    env -i PATH=/opt/safetyamp/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin DAGSTER_HOME=/opt/dagster/dagster_home \
      SAFETYAMP_DATA_DIR=/var/lib/safetyamp HOME=/tmp PYTHONDONTWRITEBYTECODE=1 \
      setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid \
      chroot --userspec=10001:10001 "$root" /bin/bash -c "$story"
  ' _ "$root" "$world" "$inside" "$STORY"
}

case ${1:-} in
  build) build ;;
  test) run ;;
  *) echo "docker/image.sh build | test" >&2; exit 2 ;;
esac
