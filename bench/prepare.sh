# prepare.sh: builds kvasir in $dir; for the scripts beside it, which set dir.
CGO_ENABLED=0 go build -trimpath -o "$dir/kvasir" .

# peer_library brings llama.cpp's prebuilt library to $dir from npm (needs node) and sets lib to its folder.
peer_library() {
	if [ ! -d "$dir/node_modules" ]; then
		cp bench/peer/package.json "$dir/"
		(cd "$dir" && npm install --ignore-scripts --no-audit --no-fund >&2)
	fi
	case $(uname -m) in
	x86_64) lib=$dir/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64 ;;
	aarch64) lib=$dir/node_modules/@node-llama-cpp/linux-arm64/bins/linux-arm64 ;;
	esac
}

# model_file SHAPE:TYPE prints the path of that model, making it if it is not there.
model_file() {
	file=$dir/$(echo "$1" | tr : -).gguf
	[ -e "$file" ] || go run ./bench/mkmodel "$1" "$file" >&2
	echo "$file"
}
