# The Debian packages that Tranche is built, tested and measured with; sourced by the scripts
# at the top. LAPACK solves the ridge systems of forecasts; LAPACKE has its header.
# install_packages GROUP... installs what is missing, as root or with sudo.

packages_build="gcc cmake ninja-build pkg-config libc6-dev libzmq3-dev libmsgpack-dev libsqlite3-dev
 libcurl4-openssl-dev libyaml-dev libyajl-dev libxxhash-dev libsodium-dev libpcre2-dev zlib1g-dev libzstd-dev uthash-dev libcmocka-dev libpq-dev
 libmicrohttpd-dev liblapacke-dev liblapack-dev libblas-dev"
packages_run="sqlite3 libcurl4 libmicrohttpd12 ca-certificates"
packages_image="libcurl4 libmicrohttpd12 ca-certificates libzmq5 libmsgpackc2 libsqlite3-0 libyaml-0-2 libyajl2 libxxhash0 libsodium23 libpcre2-8-0 zlib1g libzstd1 libpq5 sqlite3"
packages_net="iproute2 nftables python3 python3-zmq libfaketime"
packages_test="clang libclang-rt-14-dev clang-format-14 python3 python3-joblib sqlite3 ccache util-linux zstd gzip git postgresql-15"
packages_compose="docker.io docker-compose iptables debootstrap slirp4netns python3 procps util-linux"
packages_engines="openssh-server openssh-client munge slurmctld slurmd slurm-client python3"
packages_model="spin gcc libc6-dev python3"
packages_browser="chromium python3" # looks at the page of tranche serve as people do
packages_lint="clang-tidy-14 cppcheck valgrind llvm-14 python3"
packages_deb="dpkg-dev file"
packages_bench="curl python3-joblib python3-statsmodels python3-pandas python3-dask sqlite3 zstd time"

install_packages() {
	local want="" missing="" group p
	for group in "$@"; do eval "want=\"\$want \$packages_$group\""; done
	for p in $want; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	local sudo=""
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || { echo "these packages are missing, and neither root nor sudo is at hand:$missing" >&2; return 1; }
		sudo=sudo
	fi
	echo "installing:$missing"
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
		{ echo "apt-get could not install:$missing" >&2; return 1; }
}
