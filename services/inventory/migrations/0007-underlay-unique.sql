-- Two hosts under one address: what is meant for one would reach the other.
alter table hosts add constraint hosts_underlay_ip4_key unique (underlay_ip4);
alter table hosts add constraint hosts_underlay_ip6_key unique (underlay_ip6);
