module larder.dev/bench/model-csi-driver

go 1.26.0

require github.com/modelpack/model-csi-driver v0.1.2

require (
	github.com/akutz/gosync v0.1.0 // indirect
	github.com/coreos/etcd v3.3.27+incompatible // indirect
	github.com/coreos/go-semver v0.3.1 // indirect
	github.com/coreos/go-systemd v0.0.0-20191104093116-d3cd4ed1dbcf // indirect
	github.com/coreos/pkg v0.0.0-20240122114842-bbd7aa9bf6fb // indirect
	go.uber.org/zap v1.28.0 // indirect
)

replace github.com/rexray/gocsi => github.com/imeoer/gocsi v1.2.3
