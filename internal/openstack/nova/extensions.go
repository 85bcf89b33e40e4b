package nova

import (
	"strings"
	"unicode"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// extensionNames are the extensions that the API had before it had microversions,
// alias and name. All are part of it since: nova lists them still, for clients
// that ask.
const extensionNames = `
NMN Multinic
OS-DCF DiskConfig
OS-EXT-AZ ExtendedAvailabilityZone
OS-EXT-IMG-SIZE ImageSize
OS-EXT-IPS ExtendedIps
OS-EXT-IPS-MAC ExtendedIpsMac
OS-EXT-SRV-ATTR ExtendedServerAttributes
OS-EXT-STS ExtendedStatus
OS-FLV-DISABLED FlavorDisabled
OS-FLV-EXT-DATA FlavorExtraData
OS-SCH-HNT SchedulerHints
OS-SRV-USG ServerUsage
os-access-ips AccessIPs
os-admin-actions AdminActions
os-admin-password AdminPassword
os-agents Agents
os-aggregates Aggregates
os-assisted-volume-snapshots AssistedVolumeSnapshots
os-attach-interfaces AttachInterfaces
os-availability-zone AvailabilityZone
os-baremetal-ext-status BareMetalExtStatus
os-baremetal-nodes BareMetalNodes
os-block-device-mapping BlockDeviceMapping
os-block-device-mapping-v2-boot BlockDeviceMappingV2Boot
os-cell-capacities CellCapacities
os-cells Cells
os-certificates Certificates
os-cloudpipe Cloudpipe
os-cloudpipe-update CloudpipeUpdate
os-config-drive ConfigDrive
os-console-auth-tokens ConsoleAuthTokens
os-console-output ConsoleOutput
os-consoles Consoles
os-create-backup CreateBackup
os-create-server-ext Createserverext
os-deferred-delete DeferredDelete
os-evacuate Evacuate
os-extended-evacuate-find-host ExtendedEvacuateFindHost
os-extended-floating-ips ExtendedFloatingIps
os-extended-hypervisors ExtendedHypervisors
os-extended-networks ExtendedNetworks
os-extended-quotas ExtendedQuotas
os-extended-rescue-with-image ExtendedRescueWithImage
os-extended-services ExtendedServices
os-extended-services-delete ExtendedServicesDelete
os-extended-status ExtendedStatus
os-extended-volumes ExtendedVolumes
os-fixed-ips FixedIPs
os-flavor-access FlavorAccess
os-flavor-extra-specs FlavorExtraSpecs
os-flavor-manage FlavorManage
os-flavor-rxtx FlavorRxtx
os-flavor-swap FlavorSwap
os-floating-ip-dns FloatingIpDns
os-floating-ip-pools FloatingIpPools
os-floating-ips FloatingIps
os-floating-ips-bulk FloatingIpsBulk
os-fping Fping
os-hide-server-addresses HideServerAddresses
os-hosts Hosts
os-hypervisor-status HypervisorStatus
os-hypervisors Hypervisors
os-instance-actions InstanceActions
os-instance_usage_audit_log OSInstanceUsageAuditLog
os-keypairs Keypairs
os-lock-server LockServer
os-migrate-server MigrateServer
os-migrations Migrations
os-multiple-create MultipleCreate
os-networks Networks
os-networks-associate NetworkAssociationSupport
os-pause-server PauseServer
os-personality Personality
os-preserve-ephemeral-rebuild PreserveEphemeralOnRebuild
os-quota-class-sets QuotaClasses
os-quota-sets Quotas
os-rescue Rescue
os-security-group-default-rules SecurityGroupDefaultRules
os-security-groups SecurityGroups
os-server-diagnostics ServerDiagnostics
os-server-external-events ServerExternalEvents
os-server-group-quotas ServerGroupQuotas
os-server-groups ServerGroups
os-server-list-multi-status ServerListMultiStatus
os-server-password ServerPassword
os-server-sort-keys ServerSortKeys
os-server-start-stop ServerStartStop
os-services Services
os-shelve Shelve
os-simple-tenant-usage SimpleTenantUsage
os-suspend-server SuspendServer
os-tenant-networks OSTenantNetworks
os-used-limits UsedLimits
os-used-limits-for-admin UsedLimitsForAdmin
os-user-data UserData
os-user-quotas UserQuotas
os-virtual-interfaces VirtualInterfaces
os-volume-attachment-update VolumeAttachmentUpdate
os-volumes Volumes
`

func (a *api) extensionRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/extensions", wire.Reader, "extensions", a.listExtensions),
		route("GET", "/extensions/{id}", wire.Reader, "extensions", a.showExtension),
	}
}

// extensions are the list as it is said.
func extensions() (list []wire.M) {
	for line := range strings.Lines(strings.TrimSpace(extensionNames)) {
		alias, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		list = append(list, wire.M{
			"alias": alias, "name": name, "description": spaced(name) + ".", "links": []any{},
			"namespace": "http://docs.openstack.org/compute/ext/fake_xml", "updated": "2014-12-03T00:00:00Z",
		})
	}
	return list
}

// spaced puts spaces between the words of a name: "Server groups" of ServerGroups.
func spaced(name string) string {
	var b strings.Builder
	for i, c := range name {
		if i > 0 && unicode.IsUpper(c) {
			b.WriteRune(' ')
			c = unicode.ToLower(c)
		}
		b.WriteRune(c)
	}
	return b.String()
}

func (a *api) listExtensions(*wire.Request) (*wire.Response, error) {
	return wire.JSON(wire.M{"extensions": extensions()}), nil
}

func (a *api) showExtension(r *wire.Request) (*wire.Response, error) {
	for _, e := range extensions() {
		if e["alias"] == r.PathValue("id") {
			return wire.JSON(wire.M{"extension": e}), nil
		}
	}
	return nil, cloud.E("nova.showExtension", cloud.NotFound, "The resource could not be found.")
}
