//go:build !amd64

package qemu

func measureKVM() measurement {
	return measurement{Problem: "KVM's speed can be measured on x86-64 alone; set the accelerator in the configuration"}
}
