"""What a person does with apache-libcloud's OpenStack driver: each test is a story, told with the driver's own calls."""
import os
import time
import unittest

from libcloud.compute.providers import get_driver
from libcloud.compute.types import NodeState, Provider


class Libcloud(unittest.TestCase):
    def setUp(self):
        self.d = get_driver(Provider.OPENSTACK)(
            os.environ['USERNAME'], os.environ['PASSWORD'], ex_force_auth_url=os.environ['AUTH_URL'], ex_force_auth_version='3.x_password',
            ex_tenant_name=os.environ['PROJECT'], ex_domain_name='Default', ex_force_service_region='RegionOne', api_version='2.2')
        self.image = self.d.get_image(os.environ['IMAGE'])
        self.size = self.d.ex_get_size('42')

    def eventually(self, what, tell):
        for _ in range(300):
            if what():
                return
            time.sleep(0.2)
        self.fail(tell)

    def node(self, name, **more):
        nets = [n for n in self.d.ex_list_networks() if n.name == 'private']
        node = self.d.create_node(name=name, size=self.size, image=self.image, networks=nets, **more)
        self.addCleanup(self.gone, node)
        self.wait(node, NodeState.RUNNING)
        return self.d.ex_get_node_details(node.id)

    def wait(self, node, state):
        self.eventually(lambda: self.d.ex_get_node_details(node.id).state == state, '%s is not %s' % (node.name, state))

    def is_(self, node, vm_state):
        """The driver's own states know no PAUSED."""
        extra = self.d.ex_get_node_details(node.id).extra
        return extra['vm_state'] == vm_state and extra['task_state'] is None

    def gone(self, node):
        self.d.destroy_node(node)
        self.eventually(lambda: node.id not in [n.id for n in self.d.list_nodes()], 'still there')

    def test_what_there_is(self):
        self.assertIn('m1.nano', [s.name for s in self.d.list_sizes()])
        self.assertIn(self.image.id, [i.id for i in self.d.list_images()])
        self.assertEqual(1, len(self.d.list_locations()))
        self.assertEqual({}, self.d.ex_get_size_extra_specs('42'))
        self.assertIn('public', [n.name for n in self.d.ex_list_networks()])

    def test_node(self):
        node = self.node('lc-node', ex_metadata={'a': 'b'}, ex_userdata='#!/bin/sh\n')
        self.assertEqual('lc-node', node.name)
        self.assertEqual(2, len(node.private_ips), 'one of each family')
        self.assertEqual({'a': 'b'}, self.d.ex_get_metadata(node))
        self.assertEqual('d', self.d.ex_set_metadata(node, {'c': 'd'})['c'])
        self.assertEqual('lc-other', self.d.ex_set_server_name(node, 'lc-other').name)
        self.assertTrue(self.d.ex_get_node_security_groups(node))
        self.assertIn('output', self.d.ex_get_console_output(node))

    def test_power(self):
        node = self.node('lc-power')
        for act, state in [(self.d.ex_stop_node, 'stopped'), (self.d.ex_start_node, 'active'),
                           (self.d.ex_pause_node, 'paused'), (self.d.ex_unpause_node, 'active'),
                           (self.d.ex_suspend_node, 'suspended'), (self.d.ex_resume_node, 'active'),
                           (self.d.ex_soft_reboot_node, 'active'), (self.d.reboot_node, 'active')]:
            self.assertTrue(act(node), act)
            self.eventually(lambda: self.is_(node, state), 'not ' + state)
        self.d.ex_rescue(node)
        self.eventually(lambda: self.is_(node, 'rescued'), 'not rescued')
        self.d.ex_unrescue(node)
        self.eventually(lambda: self.is_(node, 'active'), 'not active')

    def test_resize(self):
        """Not ex_rebuild: it sends a flavorRef, which nova refuses as well."""
        node = self.node('lc-resize')
        self.assertTrue(self.d.ex_resize(node, self.d.ex_get_size('1')))
        self.eventually(lambda: self.is_(node, 'resized'), 'not resized')
        self.assertTrue(self.d.ex_confirm_resize(node))
        self.wait(node, NodeState.RUNNING)

    def test_image_of_node(self):
        node = self.node('lc-image')
        image = self.d.create_image(node, 'lc-snapshot', metadata={'why': 'test'})
        self.eventually(lambda: self.d.get_image(image.id).extra['status'] == 'active', 'not active')
        self.assertEqual('lc-renamed', self.d.ex_update_image(image.id, [{'op': 'replace', 'path': '/name', 'value': 'lc-renamed'}]).name)
        self.assertTrue(self.d.delete_image(image))

    def test_volumes(self):
        node = self.node('lc-volume')
        volume = self.d.create_volume(1, 'lc-volume')
        self.eventually(lambda: self.d.ex_get_volume(volume.id).state == 'available', 'not available')
        self.assertTrue(self.d.attach_volume(node, volume, device='/dev/vdb'))
        self.eventually(lambda: self.d.ex_get_volume(volume.id).extra['attachments'], 'not attached')
        volume = self.d.ex_get_volume(volume.id)
        self.assertEqual(node.id, volume.extra['attachments'][0]['server_id'])
        self.assertTrue(self.d.detach_volume(volume))
        self.eventually(lambda: self.d.ex_get_volume(volume.id).state == 'available', 'not detached')
        snap = self.d.create_volume_snapshot(volume, 'lc-snap', ex_description='words')
        self.eventually(lambda: [s.state for s in self.d.ex_list_snapshots() if s.id == snap.id] == ['available'], 'no snapshot')
        self.assertEqual([snap.id], [s.id for s in self.d.list_volume_snapshots(volume)])
        copy = self.d.create_volume(1, 'lc-copy', snapshot=snap)
        self.eventually(lambda: self.d.ex_get_volume(copy.id).state == 'available', 'not available')
        self.assertTrue(self.d.destroy_volume(copy))
        self.assertTrue(self.d.destroy_volume_snapshot(snap))
        self.eventually(lambda: not self.d.list_volume_snapshots(volume), 'the snapshot is still there')
        self.assertTrue(self.d.destroy_volume(volume))
        self.eventually(lambda: volume.id not in [v.id for v in self.d.list_volumes()], 'the volume is still there')

    def test_networks(self):
        net = self.d.ex_create_network('lc-net')
        subnet = self.d.ex_create_subnet('lc-subnet', net, '10.77.0.0/24', dns_nameservers=['9.9.9.9'])
        self.assertEqual('lc-sub', self.d.ex_update_subnet(subnet, name='lc-sub').name)
        port = self.d.ex_create_port(net, name='lc-port')
        self.assertEqual('lc-other', self.d.ex_update_port(port, name='lc-other').extra['name'])
        node = self.node('lc-net')
        self.assertTrue(self.d.ex_attach_port_interface(node, port))
        self.eventually(lambda: self.d.ex_get_port(port.id).extra['device_id'] == node.id, 'not attached')
        self.assertTrue(self.d.ex_detach_port_interface(node, port))
        router = self.d.ex_create_router('lc-router', external_gateway_info={'network_id': [n.id for n in self.d.ex_list_networks() if n.name == 'public'][0]})
        self.assertTrue(self.d.ex_add_router_subnet(router, subnet))
        self.assertTrue(self.d.ex_del_router_subnet(router, subnet))
        self.assertTrue(self.d.ex_delete_router(router))
        self.eventually(lambda: port.id not in [p.id for p in self.d.ex_list_ports() if p.extra['device_id']], 'still attached')
        if port.id in [p.id for p in self.d.ex_list_ports()]:
            self.assertTrue(self.d.ex_delete_port(port))
        self.assertTrue(self.d.ex_delete_subnet(subnet))
        self.assertTrue(self.d.ex_delete_network(net))

    def test_floating_ip(self):
        node = self.node('lc-float')
        pool = [p for p in self.d.ex_list_floating_ip_pools() if p.name == 'public'][0]
        ip = pool.create_floating_ip()
        self.assertTrue(self.d.ex_attach_floating_ip_to_node(node, ip))
        self.eventually(lambda: pool.get_floating_ip(ip.ip_address).node_id == node.id, 'not attached')
        self.assertTrue(self.d.ex_detach_floating_ip_from_node(node, ip))
        self.assertTrue(ip.delete())

    def test_security_groups(self):
        group = self.d.ex_create_security_group('lc-group', 'words')
        rule = self.d.ex_create_security_group_rule(group, 'tcp', 22, 22, cidr='10.0.0.0/8')
        self.assertEqual((22, 22, '10.0.0.0/8'), (rule.from_port, rule.to_port, rule.ip_range))
        self.assertTrue(self.d.ex_delete_security_group_rule(rule))
        self.assertTrue(self.d.ex_delete_security_group(group))

    def test_keys(self):
        pair = self.d.create_key_pair('lc-key')
        self.assertIn('PRIVATE KEY', pair.private_key)
        self.assertTrue(self.d.delete_key_pair(pair))
        self.d.import_key_pair_from_string('lc-key2', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqzQ7vKzq9m1m2c4m1m4k7cJm1c9m3V0m5r6m7v8m9k a@b')
        self.assertEqual(['lc-key2'], [p.name for p in self.d.list_key_pairs() if p.name.startswith('lc-')])
        self.assertTrue(self.d.delete_key_pair(self.d.get_key_pair('lc-key2')))

    def test_quotas(self):
        project = os.environ['PROJECT_ID']
        self.assertGreater(self.d.ex_get_quota_set(project).cores.limit, 0)
        self.assertGreater(self.d.ex_get_network_quotas(project).network.limit, 0)
        self.assertGreater(self.d.ex_get_volume_quotas(project).volumes.limit, 0)


if __name__ == '__main__':
    unittest.main()
