package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"hearth/internal/bake/publish"
	"hearth/internal/config"
	"hearth/internal/disk"
)

// newBakePublish is 'hearth bake publish'.
func newBakePublish(cfg *config.Config) *cobra.Command {
	var dir, keyFile string
	var cloud bool
	var to registryFlags
	cmd := &cobra.Command{
		Use: "publish NAME.json", Short: "Publish what was baked: to a signed folder for a web server, to a registry, or to the cloud", Args: cobra.ExactArgs(1),
		Long: "Publish what was baked, by its manifest. With --dir the images, the bill of materials, the list of\n" +
			"sources and the licences go to a folder that any web server can offer, with SHA256SUMS and a signature\n" +
			"of it by an ssh key: whoever has the public key checks it with\n" +
			"  ssh-keygen -Y verify -f ALLOWED_SIGNERS -I WHO -n " + publish.Namespace + " -s SHA256SUMS.sig <SHA256SUMS && sha256sum -c SHA256SUMS\n" +
			"With --registry the disk becomes an image in a registry of OCI, as KubeVirt's containerdisks are and as\n" +
			"'hearth image import docker://…' reads it. The bill of materials, the other papers, and sums with their\n" +
			"signature refer to it. The login is that of 'docker login', or --username with --password-file or\n" +
			"$" + passwordVariable + ". The same command again sends what lacks.\n" +
			"With --cloud the disk becomes an image of the cloud with the properties of the manifest, among them\n" +
			"machine type and CPU baseline, and the sum of its bill of materials. Bill, sources, licences and the\n" +
			"boot test's report are an image beside it, an archive, that it names as hearth_papers.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" && to.reference == "" && !cloud {
				return errors.New("say where to: --dir DIR, --registry HOST/NAME:TAG, --cloud, or several")
			}
			set, err := publish.Read(args[0])
			if err != nil {
				return err
			}
			if dir != "" {
				if err := publishDir(cmd.Context(), set, dir, keyFile); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "folder    %s\nsums      %s\nsignature %s\n", dir, filepath.Join(dir, publish.Sums), filepath.Join(dir, publish.Signature))
			}
			if to.reference != "" {
				if err := publishRegistry(cmd, set, to, keyFile); err != nil {
					return err
				}
			}
			if !cloud {
				return nil
			}
			id, err := publishCloud(cmd, cfg, set)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "image     %s\n", id)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder; it may have other bakes")
	cmd.Flags().StringVar(&keyFile, "key", "", "for --dir and --registry: ssh key that signs, without a passphrase")
	to.add(cmd)
	cmd.Flags().BoolVar(&cloud, "cloud", false, "make an image of the cloud")
	return cmd
}

// publishDir copies and signs.
func publishDir(ctx context.Context, set *publish.Set, dir, keyFile string) error {
	key, err := signingKey(keyFile)
	if err != nil {
		return err
	}
	return set.To(ctx, dir, key)
}

// signingKey reads the key that signs what is published.
func signingKey(file string) (ssh.Signer, error) {
	if file == "" {
		return nil, errors.New("what is published is signed: name an ssh key with --key")
	}
	b, err := disk.ReadText(file, 1<<20)
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(b)
	if missing := (&ssh.PassphraseMissingError{}); errors.As(err, &missing) {
		return nil, fmt.Errorf("the key %s wants a passphrase, which is not asked for here: sign %s with ssh-keygen -Y sign, or name another key", file, publish.Sums)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no ssh key that is known here: %w", file, err)
	}
	return key, nil
}

// publishCloud uploads the disk and the papers.
func publishCloud(cmd *cobra.Command, cfg *config.Config, set *publish.Set) (string, error) {
	id, err := publishDisk(cmd, cfg, set)
	if err != nil {
		return "", err
	}
	_, err = publishPapers(cmd, cfg, set, id, "")
	return id, err
}

// publishDisk uploads the disk.
func publishDisk(cmd *cobra.Command, cfg *config.Config, set *publish.Set) (string, error) {
	if set.Disk == "" {
		return "", errors.New("the bake made no qcow2, which is what the cloud gets")
	}
	up, err := newUploader(cmd, cfg)
	if err != nil {
		return "", err
	}
	properties := map[string]string{"os_admin_user": set.User}
	maps.Copy(properties, set.Properties)
	bill, err := os.ReadFile(filepath.Join(set.Dir, set.Name+".sbom.spdx.json"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(bill)
	properties["hearth_sbom_sha256"] = hex.EncodeToString(sum[:])
	return up.put(set.Name, "qcow2", filepath.Join(set.Dir, set.Disk), properties)
}

// publishPapers uploads manifest, bill of materials, sources, licences, the boot test's report
// and the lock, if it is named, as one archive: an image that no server can be started from,
// whose id the image of the disk has as hearth_papers.
func publishPapers(cmd *cobra.Command, cfg *config.Config, set *publish.Set, id, lock string) (string, error) {
	packed, err := packedPapers(set, lock)
	if err != nil {
		return "", err
	}
	up, err := newUploader(cmd, cfg)
	if err != nil {
		return "", err
	}
	file := filepath.Join(set.Dir, "."+set.Name+".papers.tar.gz")
	defer os.Remove(file)
	if err := os.WriteFile(file, packed, 0o600); err != nil {
		return "", err
	}
	papers, err := up.put(set.Name+".papers", "raw", file, map[string]string{"hearth_papers_of": id, "hearth_content": "papers.tar.gz"})
	if err != nil {
		return "", err
	}
	_, err = images.Update(cmd.Context(), up.glance, id, images.UpdateOpts{images.UpdateImageProperty{Op: images.AddOp, Name: "hearth_papers", Value: papers}}).Extract()
	return papers, refusal(err)
}
