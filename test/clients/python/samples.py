# Replays the samples of nova's API reference (doc/api_samples in its sources, whose
# folder is argument 1) and writes a line for each: RESULT, its state, its name, a
# reason.
#
# A sample of a request is sent, with the ids of things that are there in the place of
# its own; the answer must be a success. A sample of an answer is held against the
# answer at its microversion: the same members of the same types, none more and none
# less. The cloud is the one that OS_* names.
import base64
import fnmatch
import json
import os
import re
import sys
import time
import traceback
import urllib.error
import urllib.request
import uuid

FOLDER = os.path.join(sys.argv[1], 'doc', 'api_samples')
# Members whose own members are the owner's, or depend on what is there.
FREE = {'metadata', 'extra_specs', 'addresses', 'meta', 'networks', 'hw:numa_nodes', 'security_groups', 'links', 'properties', 'tags',
        'rules', 'log', 'attachments', 'cpu_info', 'scheduler_hints', 'flavor_links', 'trusted_image_certificates', 'OS-EXT-STS:task_state', 'pinned_availability_zone', 'hosts', 'ips'}
ADMINS = {'host_status'}  # members that only administrators see, whom half of the samples are not of


class Cloud:
    def __init__(self):
        self.login(os.environ['OS_PROJECT_NAME'])
        name, k = 'samples-' + uuid.uuid4().hex, {'service': 'identity'}
        made = self.must('POST', '/projects', {'project': {'name': name}}, **k)['project']['id']
        role = self.must('GET', '/roles?name=admin', **k)['roles'][0]['id']
        self.must('PUT', '/projects/%s/users/%s/roles/%s' % (made, self.user, role), **k)
        self.login(name)

    def login(self, project):
        who = {'name': os.environ['OS_USERNAME'], 'password': os.environ['OS_PASSWORD'], 'domain': {'name': 'Default'}}
        body = {'auth': {'identity': {'methods': ['password'], 'password': {'user': who}},
                         'scope': {'project': {'name': project, 'domain': {'name': 'Default'}}}}}
        request = urllib.request.Request(os.environ['OS_AUTH_URL'] + '/auth/tokens', json.dumps(body).encode(), {'Content-Type': 'application/json'})
        with urllib.request.urlopen(request) as answer:
            self.token, said = answer.headers['X-Subject-Token'], json.load(answer)['token']
        self.project, self.user = said['project']['id'], said['user']['id']
        self.at = {s['type']: e['url'] for s in said['catalog'] for e in s['endpoints'] if e['interface'] == 'public'}
        self.at['identity'] = os.environ['OS_AUTH_URL']

    def call(self, method, path, body=None, version='2.1', service='compute', raw=None):
        headers = {'X-Auth-Token': self.token, 'Content-Type': 'application/json', 'OpenStack-API-Version': 'compute ' + version}
        if service == 'volumev3':
            headers['OpenStack-API-Version'] = 'volume 3.60'
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if raw is not None:
            headers['Content-Type'] = 'application/octet-stream'
        request = urllib.request.Request((self.at[service] + path).replace('/v2.1/..', '/'), data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, self.read(answer.read())
        except urllib.error.HTTPError as e:
            return e.code, self.read(e.read())

    def read(self, text):
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text.decode(errors='replace')

    def must(self, *a, **k):
        status, body = self.call(*a, **k)
        if status >= 300:
            raise Exception('%s %s: %d %s' % (a[0], a[1], status, body))
        return body

    def wait(self, path, want, name, service='compute', member='status'):
        for _ in range(300):
            status, body = self.call('GET', path, version='2.1', service=service)
            if status == 404 and want == 'gone':
                return None
            if status == 200 and body[name][member] == want:
                return body[name]
            if status == 200 and body[name][member] == 'ERROR':
                break
            time.sleep(0.1)
        raise Exception('%s is %s and not %s' % (path, str(body[name].get('fault') or body)[:300], want))


class Things:
    """What the samples' ids are replaced by."""

    def __init__(self, cloud):
        self.cloud, self.servers, self.spare = cloud, {}, []
        c = cloud
        self.image = c.must('POST', '/v2/images', {'name': 'sample', 'disk_format': 'raw', 'container_format': 'bare', 'auto_disk_config': 'True'}, service='image')['id']
        c.must('PUT', '/v2/images/%s/file' % self.image, service='image', raw=bytes(1 << 20))
        self.flavor = self.new_flavor()
        self.big = self.new_flavor(vcpus=2)
        self.net = c.must('POST', '/v2.0/networks', {'network': {'name': 'private'}}, service='network')['network']['id']
        c.must('POST', '/v2.0/subnets', {'subnet': {'network_id': self.net, 'ip_version': 4, 'cidr': '10.77.0.0/20'}}, service='network')
        self.host = c.must('GET', '/os-services?binary=nova-compute')['services'][0]['host']
        c.call('PUT', '/os-services/force-down', {'host': self.host, 'binary': 'nova-compute', 'forced_down': False}, version='2.11')
        c.call('PUT', '/os-services/enable', {'host': self.host, 'binary': 'nova-compute'})
        self.service = c.must('GET', '/os-services?binary=nova-compute', version='2.53')['services'][0]['id']
        self.zone = c.must('GET', '/os-availability-zone')['availabilityZoneInfo'][0]['zoneName']
        self.hypervisor = c.must('GET', '/os-hypervisors', version='2.53')['hypervisors'][0]['id']
        self.oldhypervisor = c.must('GET', '/os-hypervisors')['hypervisors'][0]['id']
        c.must('PUT', '/os-quota-sets/' + c.project, {'quota_set': {'instances': -1, 'cores': -1, 'ram': -1, 'key_pairs': -1, 'server_groups': -1, 'metadata_items': -1}})
        c.must('PUT', '/os-quota-sets/' + c.project, {'quota_set': {'volumes': -1, 'gigabytes': -1, 'snapshots': -1}}, service='volumev3')
        c.call('PUT', '/v2.0/quotas/' + c.project, {'quota': {'port': -1, 'security_group': -1, 'network': -1}}, service='network')
        self.keypair = 'sample-key'
        c.call('POST', '/os-keypairs', {'keypair': {'name': self.keypair}})
        self.group = c.must('POST', '/os-server-groups', {'server_group': {'name': 'samples', 'policies': ['affinity']}})['server_group']['id']
        self.other = c.must('POST', '/projects', {'project': {'name': 'samples-' + uuid.uuid4().hex}}, service='identity')['project']['id']
        c.must('POST', '/os-security-groups', {'security_group': {'name': 'sample-group', 'description': 'of the samples'}})
        self.aggregate = c.must('POST', '/os-aggregates', {'aggregate': {'name': 'samples-' + uuid.uuid4().hex}})['aggregate']['id']

    def new_flavor(self, spec={'hw:cpu_policy': 'shared'}, **more):
        body = dict({'name': 'f-' + uuid.uuid4().hex, 'ram': 64, 'vcpus': 1, 'disk': 1}, **more)
        flavor = self.cloud.must('POST', '/flavors', {'flavor': body})['flavor']['id']
        self.cloud.must('POST', '/flavors/%s/os-extra_specs' % flavor, {'extra_specs': spec})
        return flavor

    def new_server(self, **more):
        body = dict({'name': 'sample', 'imageRef': self.image, 'flavorRef': self.flavor, 'networks': [{'uuid': self.net}],
                     'metadata': {'My Server Name': 'Apache1'}, 'key_name': self.keypair}, **more)
        made = self.cloud.must('POST', '/servers', {'server': body})['server']['id']
        self.spare.append(made)
        self.cloud.wait('/servers/' + made, 'ACTIVE', 'server')
        return made

    def tidy(self):
        """Removes the servers that were for one sample."""
        for s in self.spare:
            if s not in self.servers.values():
                self.cloud.call('DELETE', '/servers/' + s)
        self.spare = []

    def server(self, state):
        """A server in a state; one that was only looked at serves again."""
        if state == 'ACTIVE' and state in self.servers:
            return self.servers[state]
        s = self.new_server(**({'security_groups': [{'name': 'sample-group'}]} if state == 'GROUPED' else {}))
        for action, then in {
                'ACTIVE': [], 'fresh': [], 'GROUPED': [], 'SHUTOFF': [({'os-stop': None}, 'SHUTOFF')], 'PAUSED': [({'pause': None}, 'PAUSED')],
                'SUSPENDED': [({'suspend': None}, 'SUSPENDED')], 'RESCUE': [({'rescue': None}, 'RESCUE')],
                'VERIFY_RESIZE': [({'resize': {'flavorRef': self.big}}, 'VERIFY_RESIZE')],
                'SHELVED_OFFLOADED': [({'shelve': None}, 'SHELVED_OFFLOADED')], 'SHELVED': [({'shelve': None}, 'SHELVED_OFFLOADED')],
                'LOCKED': [({'lock': None}, 'ACTIVE')]}[state]:
            self.cloud.must('POST', '/servers/%s/action' % s, action)
            self.cloud.wait('/servers/' + s, then, 'server')
        if state == 'ACTIVE':
            self.servers[state] = s
        return s

    def volume(self):
        v = self.cloud.must('POST', '/volumes', {'volume': {'size': 1}}, service='volumev3')['volume']['id']
        self.cloud.wait('/volumes/' + v, 'available', 'volume', service='volumev3')
        return v

    def attached(self):
        s, v = self.server('fresh'), self.volume()
        self.cloud.must('POST', '/servers/%s/os-volume_attachments' % s, {'volumeAttachment': {'volumeId': v}})
        self.cloud.wait('/volumes/' + v, 'in-use', 'volume', service='volumev3')
        return s, v

    def port(self, server):
        return self.cloud.must('GET', '/servers/%s/os-interface' % server)['interfaceAttachments'][0]['port_id']

    def fix(self, body, key=''):
        """A sample's body with what is there."""
        swap = {'imageRef': lambda: self.image, 'image_ref': lambda: self.image, 'rescue_image_ref': lambda: self.image, 'flavorRef': lambda: self.flavor,
                'availability_zone': lambda: self.zone, 'host': lambda: self.host, 'hypervisor_hostname': lambda: self.host, 'net_id': lambda: self.net,
                'networkId': lambda: self.net, 'volumeId': self.volume, 'volume_id': self.volume, 'key_name': lambda: self.keypair,
                'same_host': lambda: self.server('ACTIVE')}
        if isinstance(body, dict):
            out = {}
            for k, v in body.items():
                if k in swap and isinstance(v, (str, int)) and v is not None:
                    out[k] = swap[k]()
                elif k == 'uuid' and key == 'networks':
                    out[k] = self.net
                elif k == 'volume_type':
                    continue
                elif k == 'networks' and v == 'auto':
                    out[k] = [{'uuid': self.net}]
                elif k == 'uuid' and key.startswith('block_device'):
                    out[k] = self.image
                else:
                    out[k] = self.fix(v, k)
            return out
        if isinstance(body, list):
            return [self.fix(v, key) for v in body]
        return body


def differ(sample, got, path=''):
    """How an answer is not of a sample's shape."""
    if isinstance(sample, dict):
        if not isinstance(got, dict):
            return ['%s is no object' % path]
        out = ['%s.%s is missing' % (path, k) for k in sample if k not in got and not k.endswith('_links') and k != 'progress']
        out += ['%s.%s is too many' % (path, k) for k in got if k not in sample and k not in ADMINS and not k.startswith('OS-EXT-SRV-ATTR:')]
        for k in sample:
            if k in got and k not in FREE:
                out += differ(sample[k], got[k], path + '.' + k)
        return out
    if isinstance(sample, list):
        if not isinstance(got, list):
            return ['%s is no list' % path]
        return differ(sample[0], got[0], path + '[0]') if sample and got else []
    if sample is None or got is None:
        return []
    if isinstance(sample, bool) != isinstance(got, bool) or isinstance(sample, str) != isinstance(got, str):
        return ['%s is %s, not as %s' % (path, json.dumps(got)[:40], json.dumps(sample)[:40])]
    return []


def on(state, path='/servers/{server}/action', method='POST'):
    return {'method': method, 'path': path, 'state': state}


def get(path, **more):
    return dict({'method': 'GET', 'path': path}, **more)


def send(method, path, **more):
    return dict({'method': method, 'path': path}, **more)


S, A = '/servers/{server}', '/os-aggregates/{aggregate}'
# What a sample is of; the first that fits. An answer's sample goes with the request's
# of the same name, where there is one. None: not of what is here, for the reason.
RULES = [
    ('extension-info/extensions-get-resp', get('/extensions/os-agents')), ('extension-info/extensions-list-resp', get('/extensions')),
    ('flavor-access/*add*', send('POST', '/flavors/{private}/action')), ('flavor-access/*remove*', send('POST', '/flavors/{open}/action')),
    ('flavor-access/flavor-access-list-resp', get('/flavors/{private}/os-flavor-access')), ('flavor-access/flavor-create-req', send('POST', '/flavors')),
    ('flavor-extra-specs/*create*', send('POST', '/flavors/{flavor}/os-extra_specs')), ('flavor-extra-specs/*list*', get('/flavors/{flavor}/os-extra_specs')),
    ('flavor-extra-specs/*get*', get('/flavors/{specced}/os-extra_specs/hw:numa_nodes')),
    ('flavor-extra-specs/*update*', send('PUT', '/flavors/{newflavor}/os-extra_specs/hw:numa_nodes')),
    ('flavor-manage/flavor-create*', send('POST', '/flavors')), ('flavor-manage/flavor-update*', send('PUT', '/flavors/{newflavor}')),
    ('flavors/flavor-get-resp', get('/flavors/{flavor}')), ('flavors/flavors-detail-resp', get('/flavors/detail')), ('flavors/flavors-list-resp', get('/flavors')),
    ('limits/*', get('/limits')),
    ('images/image-get-resp', get('/images/{image}')), ('images/images-details*', get('/images/detail')), ('images/images-list*', get('/images')),
    ('images/image-meta-key-get', get('/images/{image}/metadata/auto_disk_config')), ('images/image-metadata-get*', get('/images/{image}/metadata')),
    ('images/image-meta-key-put*', send('PUT', '/images/{image}/metadata/auto_disk_config')), ('images/image-metadata-post*', send('POST', '/images/{image}/metadata')),
    ('images/image-metadata-put*', send('PUT', '/images/{image}/metadata')),
    ('os-admin-actions/*', on('fresh')), ('os-admin-password/*', on('fresh')),
    ('os-aggregates/aggregate-post*', send('POST', '/os-aggregates')), ('os-aggregates/aggregate-update*', send('PUT', A)),
    ('os-aggregates/aggregates-list*', get('/os-aggregates')), ('os-aggregates/aggregates-get*', get(A)),
    ('os-aggregates/aggregate-images*', send('POST', A + '/images', hosted=True)),
    ('os-aggregates/aggregate-remove*', send('POST', A + '/action', hosted=True)), ('os-aggregates/aggregates-remove*', None),
    ('os-aggregates/aggregate*add*', send('POST', A + '/action', unhosted=True)), ('os-aggregates/*metadata*', send('POST', A + '/action')),
    ('os-attach-interfaces/*create*', on('fresh', S + '/os-interface')), ('os-attach-interfaces/*list*', get(S + '/os-interface')),
    ('os-attach-interfaces/*show*', get(S + '/os-interface/{port}')),
    ('os-availability-zone/*detail*', get('/os-availability-zone/detail')), ('os-availability-zone/*list*', get('/os-availability-zone')),
    ('os-console-output/*', on('ACTIVE')), ('os-create-backup/*', on('fresh')), ('os-deferred-delete/force*', on('fresh')), ('os-deferred-delete/*', None),
    ('os-evacuate/*', None), ('os-hosts/host-get-resp', get('/os-hosts/{host}')), ('os-hosts/hosts-list*', get('/os-hosts')), ('os-hosts/*', None),
    ('os-hypervisors/hypervisors-list-resp', get('/os-hypervisors')), ('os-hypervisors/hypervisors-detail-resp', get('/os-hypervisors/detail')),
    ('os-hypervisors/hypervisors-detail-with*', get('/os-hypervisors/detail?with_servers=true')), ('os-hypervisors/hypervisors-show-resp', get('/os-hypervisors/{hypervisor}')),
    ('os-hypervisors/hypervisors-show-with*', get('/os-hypervisors/{hypervisor}?with_servers=true')), ('os-hypervisors/*statistics*', get('/os-hypervisors/statistics')),
    ('os-hypervisors/*uptime*', get('/os-hypervisors/{hypervisor}/uptime')), ('os-hypervisors/hypervisors-search*', get('/os-hypervisors/{host}/search', modern='/os-hypervisors?hypervisor_hostname_pattern={host}')),
    ('os-hypervisors/hypervisors-with-servers*', get('/os-hypervisors/{host}/servers', modern='/os-hypervisors?with_servers=true')), ('os-hypervisors/*', None),
    ('os-instance-actions/*non-admin*', None), ('os-instance-actions/instance-action-get*', get(S + '/os-instance-actions/{request}')),
    ('os-instance-actions/*limit*', get(S + '/os-instance-actions?limit=1', state='SHUTOFF')), ('os-instance-actions/*', get(S + '/os-instance-actions')),
    ('os-instance-usage-audit-log/*index*', get('/os-instance_usage_audit_log')), ('os-instance-usage-audit-log/*show*', get('/os-instance_usage_audit_log/2026-01-01%2010:00:00')),
    ('os-keypairs/*import*', send('POST', '/os-keypairs')), ('os-keypairs/keypairs-post*', send('POST', '/os-keypairs')),
    ('os-keypairs/keypairs-get*', get('/os-keypairs/{keypair}')), ('os-keypairs/keypairs-list*', get('/os-keypairs')),
    ('os-lock-server/unlock*', on('LOCKED')), ('os-lock-server/*', on('fresh')), ('os-migrate-server/*', None), ('os-migrations/*', get('/os-migrations')),
    ('os-multiple-create/*', send('POST', '/servers')), ('os-pause-server/pause*', on('fresh')), ('os-pause-server/unpause*', on('PAUSED')),
    ('os-preserve-ephemeral-rebuild/*', on('fresh')),
    ('os-quota-class-sets/*show*', get('/os-quota-class-sets/default')), ('os-quota-class-sets/*update*', send('PUT', '/os-quota-class-sets/default')),
    ('os-quota-sets-noop/*', None), ('os-quota-sets/quotas-show-defaults*', get('/os-quota-sets/{project}/defaults')),
    ('os-quota-sets/quotas-show-detail*', get('/os-quota-sets/{project}/detail')), ('os-quota-sets/quotas-show-get*', get('/os-quota-sets/{project}')),
    ('os-quota-sets/user-quotas-show*', get('/os-quota-sets/{project}?user_id={user}')),
    ('os-quota-sets/quotas-update*', send('PUT', '/os-quota-sets/{other}')), ('os-quota-sets/user-quotas-update*', send('PUT', '/os-quota-sets/{other}?user_id={user}')),
    ('os-remote-consoles/*mks*', None), ('os-remote-consoles/*rdp*', None), ('os-remote-consoles/*spice*', None),
    ('os-remote-consoles/create-vnc*', on('ACTIVE', S + '/remote-consoles')), ('os-remote-consoles/*', on('ACTIVE')), ('os-console-auth-tokens/*', None),
    ('os-rescue/server-get-resp*', None), ('os-rescue/server-unrescue*', on('RESCUE')), ('os-rescue/*', on('fresh')),
    ('os-security-groups/security-group-add*', on('fresh')), ('os-security-groups/security-group-remove*', on('GROUPED')),
    ('os-security-groups/security-group-rules-post*', send('POST', '/os-security-group-rules')), ('os-security-groups/security-group-post*', send('POST', '/os-security-groups')),
    ('os-security-groups/security-groups-create-resp', None), ('os-security-groups/security-groups-get*', get('/os-security-groups/{secgroup}')),
    ('os-security-groups/security-groups-list*', get('/os-security-groups')), ('os-security-groups/server-security*', get(S + '/os-security-groups')),
    ('os-server-diagnostics/*', get(S + '/diagnostics')), ('os-server-external-events/*', send('POST', '/os-server-external-events')),
    ('os-server-groups/*get*', get('/os-server-groups/{group}')), ('os-server-groups/*list*', get('/os-server-groups')), ('os-server-groups/*post*', send('POST', '/os-server-groups')),
    ('os-server-password/*', get(S + '/os-server-password')), ('os-server-tags/*index*', get(S + '/tags')), ('os-server-tags/*put*', send('PUT', S + '/tags')),
    ('os-server-tags/server-tags-show*', get(S)), ('os-server-tags/servers-tags*', get('/servers/detail')), ('os-server-topology/*user', None),
    ('os-server-topology/*', get(S + '/topology')), ('os-services/services-list*', get('/os-services')),
    ('os-services/service-disable-log*', send('PUT', '/os-services/disable-log-reason', modern='/os-services/{service}')),
    ('os-services/service-disable-put*', send('PUT', '/os-services/disable', modern='/os-services/{service}')),
    ('os-services/service-enable*', send('PUT', '/os-services/enable', modern='/os-services/{service}')),
    ('os-services/service-force-down*', send('PUT', '/os-services/force-down', modern='/os-services/{service}')),
    ('os-shelve/os-shelve-offload', None), ('os-shelve/os-shelve', on('fresh')), ('os-shelve/*', on('SHELVED_OFFLOADED')),
    ('os-simple-tenant-usage/simple-tenant-usage-get-specific', get('/os-simple-tenant-usage/{project}')), ('os-simple-tenant-usage/simple-tenant-usage-get-all', get('/os-simple-tenant-usage?detailed=1')), ('os-simple-tenant-usage/simple-tenant-usage-get-detail', get('/os-simple-tenant-usage?detailed=1')),
    ('os-simple-tenant-usage/*', get('/os-simple-tenant-usage')), ('os-suspend-server/server-resume', on('SUSPENDED')), ('os-suspend-server/*', on('fresh')),
    ('os-volumes/attach-volume*', on('fresh', S + '/os-volume_attachments')), ('os-volumes/list-volume-attachments*', get('/servers/{attached}/os-volume_attachments')),
    ('os-volumes/volume-attachment-detail*', get('/servers/{attached}/os-volume_attachments/{volume}')),
    ('os-volumes/update-volume-attachment*', None), ('os-volumes/update-volume-req', send('PUT', '/servers/{attached}/os-volume_attachments/{volume}')),
    ('os-volumes/os-volumes-detail*', get('/os-volumes/detail')), ('os-volumes/os-volumes-index*', get('/os-volumes')), ('os-volumes/os-volumes-get*', get('/os-volumes/{volume}')),
    ('os-volumes/os-volumes-post*', send('POST', '/os-volumes')), ('os-volumes/snapshot*', None),
    ('server-ips/server-ips-resp', get(S + '/ips')), ('server-ips/*', get(S + '/ips/private')),
    ('server-metadata/server-metadata-all-req', send('POST', S + '/metadata')), ('server-metadata/server-metadata-all-resp', get(S + '/metadata')),
    ('server-metadata/server-metadata-re*', send('PUT', S + '/metadata/foo')), ('server-migrations/*', None),
    ('servers-sort/*', get('/servers?sort_key=display_name&sort_dir=asc')),
    ('servers/server-action-*floatingip*', None), ('servers/server-action-confirm*', on('VERIFY_RESIZE')), ('servers/server-action-revert*', on('VERIFY_RESIZE')),
    ('servers/server-action-resize', on('fresh')), ('servers/server-action-start', on('SHUTOFF')), ('servers/server-action-create-image*', on('fresh')),
    ('servers/server-action-*', on('fresh')), ('servers/lock-server*', on('fresh')),
    ('servers/server-create-req-with*', send('POST', '/servers')), ('servers/server-create*', send('POST', '/servers')),
    ('servers/server-get-down*', None), ('servers/server-get-resp', get(S)), ('servers/server-groups-post*', send('POST', '/os-server-groups')),
    ('servers/server-put*', send('PUT', S)), ('servers/server-update*', send('PUT', S)), ('servers/servers-details-resp', get('/servers/detail')),
    ('servers/servers-details-with*', get('/servers/detail?changes-before=2999-01-01T00:00:00Z')), ('servers/servers-list-with*', get('/servers?changes-before=2999-01-01T00:00:00Z')),
    ('servers/servers-list-status*', None), ('servers/servers-list*', get('/servers')),
    ('versions/versions-get-resp', get('/..')),
    ('*', None),  # what nova itself answers with 410, and what only its own tests make
]


class Replay:
    def __init__(self):
        self.cloud = Cloud()
        self.things = Things(self.cloud)
        self.asked = {}

    def fill(self, path, rule, version):
        t, c = self.things, self.cloud
        make = {
            'server': lambda: t.server(rule.get('state', 'ACTIVE')), 'flavor': lambda: t.flavor, 'newflavor': t.new_flavor, 'image': lambda: t.image,
            'private': self.private,
            'specced': lambda: t.new_flavor(spec={'hw:numa_nodes': '1'}), 'open': self.opened, 'aggregate': lambda: str(self.aggregate(rule)), 'host': lambda: t.host, 'keypair': lambda: t.keypair, 'project': lambda: c.project,
            'user': lambda: c.user, 'other': lambda: t.other, 'group': lambda: t.group, 'service': lambda: t.service,
            'hypervisor': lambda: t.hypervisor if version >= 53 else str(t.oldhypervisor),
            'port': lambda: t.port(t.server('ACTIVE')), 'secgroup': lambda: c.must('GET', '/os-security-groups')['security_groups'][0]['id'],
            'request': lambda: c.must('GET', '/servers/%s/os-instance-actions' % t.server('ACTIVE'))['instanceActions'][0]['request_id'],
        }
        if '{attached}' in path:
            s, v = t.attached()
            path = path.replace('{attached}', s).replace('{volume}', v)
        make['volume'] = t.volume
        return re.sub(r'\{(\w+)\}', lambda m: make[m[1]](), path)

    def private(self):
        body = {'name': uuid.uuid4().hex, 'ram': 64, 'vcpus': 1, 'disk': 1, 'os-flavor-access:is_public': False}
        return self.cloud.must('POST', '/flavors', {'flavor': body})['flavor']['id']

    def opened(self):
        flavor = self.private()
        self.cloud.must('POST', '/flavors/%s/action' % flavor, {'addTenantAccess': {'tenant': self.cloud.project}})
        return flavor

    def aggregate(self, rule):
        made = self.cloud.must('POST', '/os-aggregates', {'aggregate': {'name': uuid.uuid4().hex}})['aggregate']['id']
        if rule.get('hosted'):
            self.cloud.must('POST', '/os-aggregates/%d/action' % made, {'add_host': {'host': self.things.host}})
        return made

    def body(self, name, sample):
        t, b = self.things, self.things.fix(sample)
        stem = name.split('/')[-1]
        if stem in ('keypairs-import-post-req', 'keypairs-post-req'):
            b['keypair']['name'] = 'k-' + uuid.uuid4().hex
            if 'user_id' in b['keypair']:
                b['keypair']['user_id'] = self.cloud.user
        if stem.startswith('flavor-create'):
            b['flavor'].update(id=uuid.uuid4().hex, name=uuid.uuid4().hex)
        if 'aggregate' in b and 'name' in b['aggregate']:
            b['aggregate']['name'] = uuid.uuid4().hex
        if stem.startswith('flavor-extra-specs-update'):
            b = {'hw:numa_nodes': '1'}
        if stem == 'server-action-resize':
            b['resize']['flavorRef'] = t.big
        if 'server' in b and 'flavorRef' in b['server']:
            b['server'].setdefault('networks', [{'uuid': t.net}])
        for change in ('addSecurityGroup', 'removeSecurityGroup'):
            if change in b:
                b[change]['name'] = 'sample-group'
        for access in ('addTenantAccess', 'removeTenantAccess'):
            if access in b:
                b[access]['tenant'] = self.cloud.project
        if 'OS-SCH-HNT:scheduler_hints' in b:
            b['OS-SCH-HNT:scheduler_hints'] = {'same_host': t.server('ACTIVE')}
        if stem == 'aggregate-images-post-req':
            b['cache'] = [{'id': t.image}]
        if stem.startswith('attach-interfaces-create'):
            b['interfaceAttachment'].pop('port_id', None)
            b['interfaceAttachment'].pop('fixed_ips', None)
            b['interfaceAttachment']['net_id'] = t.net
        if stem == 'event-create-req':
            for e in b['events']:
                e.update(server_uuid=t.server('ACTIVE'), name='network-changed')
                e.pop('tag', None)
        if stem == 'security-group-rules-post-req':
            b['security_group_rule']['parent_group_id'] = self.cloud.must('GET', '/os-security-groups')['security_groups'][0]['id']
            b['security_group_rule'].pop('group_id', None)
            b['security_group_rule']['from_port'] = b['security_group_rule']['to_port'] = 1 + uuid.uuid4().int % 60000
        if stem.startswith('server-action-rebuild') and b['rebuild'].get('preserve_ephemeral'):
            b['rebuild']['preserve_ephemeral'] = False
        return b

    def one(self, name, file):
        match = re.match(r'(.*?)(?:/v2\.(\d+))?/([^/]+)$', name)
        version = int(match[2] or 1)
        key = match[1] + '/' + match[3]
        rule = next(r for pattern, r in RULES if fnmatch.fnmatch(key, pattern))
        if version == 69 and key.split('/')[0] in ('servers', 'os-services'):
            return 'skipped', 'of a cell that is down: there is one cell'
        if rule is None:
            return 'skipped', 'not of what is here, or made by nova\'s own tests alone'
        with open(file) as f:
            text = f.read()
        sample = json.loads(text)
        path = rule['modern'] if version >= 53 and 'modern' in rule else rule['path']
        answer = name.endswith('-resp') or rule['method'] == 'GET' or key == 'os-rescue/server-rescue'
        if answer and rule['method'] != 'GET':
            twin = re.sub(r'-resp$', '-req', file[:-5]) + '.json'
            for other in (twin, file.replace('server-rescue.json', 'server-rescue-req.json'), file[:-len('-resp.json')] + '.json', twin.replace('aggregates-', 'aggregate-').replace('-post-req', '-post-req')):
                if os.path.exists(other) and other != file:
                    break
            else:
                return 'skipped', 'its request has no sample'
            got = self.asked.get(other)
            if got is None:
                return 'skipped', 'its request failed'
        else:
            method, body = rule['method'], None if rule['method'] == 'GET' else self.body(name, sample)
            status, got = self.cloud.call(method, self.fill(path, rule, version), body, '2.%d' % version)
            if status > 300:
                return 'failed', '%d %s' % (status, json.dumps(got))
            self.asked[file] = got if got is not None else {}
            if method != 'GET':
                return 'passed', ''
        wrong = differ(sample, got)
        return ('failed', '; '.join(wrong)) if wrong else ('passed', '')


def main():
    replay, names = Replay(), []
    for folder, _, files in os.walk(FOLDER):
        names += [os.path.relpath(os.path.join(folder, f), FOLDER)[:-5] for f in files if f.endswith('.json')]
    only = os.environ.get('HEARTH_SAMPLES', '*')
    for name in sorted(names, key=lambda n: (n.startswith('os-services/'), n.endswith(('-resp', '/server-rescue')), n)):
        if not fnmatch.fnmatch(name, only):
            continue
        try:
            state, reason = replay.one(name, os.path.join(FOLDER, name + '.json'))
        except Exception as e:
            traceback.print_exc()
            state, reason = 'failed', str(e)
        replay.things.tidy()
        print('RESULT', state, name, reason.replace('\t', ' ').replace('\n', ' ')[:400], sep='\t', flush=True)


main()
