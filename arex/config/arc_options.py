"""
Names of the blocks and options of ARC 6.17 that have no field in the model, with their defaults; and suggestions.

Source: names and defaults of ``arc.conf.reference``, ARC 6.17.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from arex.config.model import BLOCKS
from arex.config.record import Option, options
from arex.suggest import closest

#: Blocks that need a name after a colon; other blocks must not have one.
NAMED: Final = frozenset({"authgroup", "queue", "userlist", "custom", "arex/jura/sgas", "arex/jura/apel"})
#: Blocks whose options ARC does not define.
UNCHECKED: Final = frozenset({"custom", "arex/jura/archiving"})
#: Blocks of rules, whose order matters.
RULES: Final = frozenset({"mapping", "authgroup"})

#: Options without a field in the model, by block.
NAMES: Final[Mapping[str, str]] = {
    "common": "x509_host_key x509_host_cert x509_voms_dir voms_processing",
    "authgroup": "subject file voms authgroup userlist plugin authtokens all",
    "mapping": (
        "map_to_user map_to_pool map_with_file map_with_plugin policy_on_nomap policy_on_map policy_on_nogroup"
    ),
    "authtokens": "",
    "lrms": (
        "lrmsconfig pbs_log_path pbs_dedicated_node_string lsf_profile_path ll_bin_path "
        "ll_consumable_resources boinc_db_host boinc_db_port boinc_db_name boinc_db_user boinc_db_pass "
        "boinc_app_id boinc_project_dir"
    ),
    "lrms/ssh": "remote_host private_key remote_user remote_sessiondir remote_cachedir ssh_timeout",
    "arex": ("user norootpower watchdog infoproviders_timelimit mail helper helperlog forcedefaultvoms"),
    "arex/cache": "",
    "arex/cache/cleaner": "logfile loglevel cachespacetool",
    "arex/data-staging": (
        "loglevel logfile usehostcert passivetransfer globus_tcp_port_range globus_udp_port_range use_remote_acix "
        "deliveryservice localdelivery remotesizelimit"
    ),
    "arex/ws": (
        "wsurl logfile pidfile max_job_control_requests max_infosys_requests max_data_transfer_requests "
        "tlsciphers tlsserverorder tlsprotocols tlscurve"
    ),
    "arex/ws/jobs": "allownew_override allowaccess denyaccess",
    "arex/ws/publicinfo": "allowaccess denyaccess",
    "arex/ws/cache": "cacheaccess",
    "arex/ws/candypond": "",
    "arex/ws/argus": (
        "arguspep_endpoint arguspep_profile arguspep_usermap arguspdp_endpoint arguspdp_profile "
        "arguspdp_acceptnotapplicable"
    ),
    "arex/jura": (
        "logfile loglevel vomsless_vo vo_group urdelivery_frequency x509_host_key x509_host_cert x509_cert_dir"
    ),
    "arex/jura/archiving": "",
    "arex/jura/sgas": "targeturl localid_prefix vofilter urbatchsize urdelivery_frequency",
    "arex/jura/apel": "targeturl topic gocdb_name apel_messages vofilter urbatchsize urdelivery_frequency",
    "arex/ganglia": "gmetric_bin_path metrics frequency",
    "gridftpd": (
        "user loglevel logfile pidfile port allowencryption allowactivedata maxconnections defaultbuffer "
        "maxbuffer globus_tcp_port_range globus_udp_port_range firewall x509_host_key x509_host_cert "
        "x509_cert_dir"
    ),
    "gridftpd/jobs": "allownew allownew_override allowaccess denyaccess maxjobdesc",
    "gridftpd/filedir": "path mount allowaccess denyaccess dir",
    "infosys": "logfile loglevel validity_ttl",
    "infosys/ldap": (
        "hostname slapd_hostnamebind port user slapd slapd_loglevel threads timelimit idletimeout "
        "infosys_ldap_run_dir ldap_schema_dir bdii_debug_level bdii_provider_timeout bdii_location "
        "bdii_run_dir bdii_log_dir bdii_tmp_dir bdii_var_dir bdii_update_pid_file bdii_database bdii_conf "
        "bdii_update_cmd bdii_db_config bdii_archive_size bdii_breathe_time bdii_delete_delay "
        "bdii_read_timeout"
    ),
    "infosys/nordugrid": "",
    "infosys/glue2": (
        "admindomain_description admindomain_www admindomain_distributed admindomain_owner "
        "admindomain_otherinfo computingservice_qualitylevel"
    ),
    "infosys/glue2/ldap": "showactivities",
    "infosys/glue1": (
        "resource_location resource_latitude resource_longitude cpu_scaling_reference_si00 "
        "processor_other_description glue_site_web glue_site_unique_id"
    ),
    "infosys/glue1/site-bdii": "unique_id url",
    "infosys/cluster": (
        "alias hostname interactive_contactstring comment cluster_location cluster_owner advertisedvo "
        "clustersupport homogeneity middleware nodeaccess localse cpudistribution mincputime minwalltime"
    ),
    "queue": (
        "homogeneity totalcpus nodecpu "
        "nodememory architecture opsys osname osversion osfamily benchmark allowaccess denyaccess "
        "advertisedvo forcedefaultvoms mincputime minwalltime"
    ),
    "datadelivery-service": (
        "transfer_dir hostname port pidfile logfile loglevel user secure allowed_ip allowed_dn x509_host_key "
        "x509_host_cert x509_cert_dir"
    ),
    "acix-scanner": "cachedir logfile hostname port cachedump x509_host_key x509_host_cert x509_cert_dir",
    "acix-index": "cachescanner x509_host_key x509_host_cert x509_cert_dir",
    "userlist": "outfile source mapped_unixid voms_fqan_map filter",
    "nordugridmap": (
        "x509_host_key x509_host_cert x509_cert_dir gridmap_owner gridmap_group gridmap_permissions "
        "log_to_file logfile cache_enable cachedir cachetime mapuser_processing allow_empty_unixid "
        "voms_method loglevel fetch_timeout"
    ),
    "custom": "",
}

#: Defaults of these options, for the file that ARC's own scripts and clients read. A word in braces stands for the
#: value of another option. ARC's defaults for its service account (user, mail, helperlog) are left out, since arex runs
#: as another user.
DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "common": {
        "x509_host_key": "/etc/grid-security/hostkey.pem",
        "x509_host_cert": "/etc/grid-security/hostcert.pem",
        "x509_voms_dir": "/etc/grid-security/vomsdir",
        "voms_processing": "standard",
    },
    "lrms": {
        "pbs_bin_path": "/usr/bin",
        "pbs_log_path": "/var/spool/pbs/server_logs",
        "condor_bin_path": "/usr/bin",
        "condor_config": "/etc/condor/condor_config",
        "sge_root": "/gridware/sge",
        "sge_cell": "default",
        "slurm_bin_path": "/usr/bin",
        "slurm_wakeupperiod": "30",
        "slurm_use_sacct": "yes",
        "slurm_query_retries": "1",
        "lsf_bin_path": "/usr/bin",
        "lsf_profile_path": "/usr/share/lsf/conf/profile.lsf",
        "ll_bin_path": "/usr/bin",
        "ll_consumable_resources": "no",
        "boinc_db_host": "localhost",
        "boinc_db_port": "3306",
    },
    "arex": {
        "norootpower": "no",
        "watchdog": "no",
        "infoproviders_timelimit": "10800",
    },
    "arex/cache/cleaner": {
        "logfile": "/var/log/arc/cache-cleaner.log",
        "loglevel": "3",
    },
    "arex/data-staging": {
        "loglevel": "{loglevel}",
        "statefile": "{controldir}/dtr.state",
        "usehostcert": "no",
        "passivetransfer": "yes",
        "globus_tcp_port_range": "9000,9300",
        "globus_udp_port_range": "9000,9300",
        "localdelivery": "no",
    },
    "arex/ws": {
        "wsurl": "https://{hostname}:443/arex",
        "logfile": "/var/log/arc/ws-interface.log",
        "pidfile": "/run/arched-arex-ws.pid",
        "max_job_control_requests": "100",
        "max_infosys_requests": "1",
        "max_data_transfer_requests": "100",
        "tlsciphers": "HIGH:!eNULL:!aNULL",  # codespell:ignore anull
        "tlsserverorder": "no",
        "tlsprotocols": "TLSv1.2 TLSv1.3",
        "tlscurve": "secp521r1",
    },
    "infosys": {
        "logfile": "/var/log/arc/infoprovider.log",
        "loglevel": "3",
        "validity_ttl": "10800",
    },
    "infosys/glue2": {
        "admindomain_distributed": "no",
        "computingservice_qualitylevel": "production",
    },
    "infosys/cluster": {
        "hostname": "{hostname}",
        "homogeneity": "True",
    },
    "queue": {
        "benchmark": "HEPSPEC 1.0",
    },
}

#: Options that a queue inherits from [infosys/cluster].
INHERITED: Final = ("homogeneity", "nodecpu", "nodememory", "architecture", "opsys", "advertisedvo")


def kinds() -> tuple[str, ...]:
    """All blocks of arex and ARC."""
    return tuple(dict.fromkeys((*BLOCKS, *NAMES)))


@cache
def typed(kind: str) -> Mapping[str, Option]:
    """The options of a block that have a field in the model."""
    return {each.name: each for each in options(BLOCKS[kind][1])} if kind in BLOCKS else {}


@cache
def names(kind: str) -> tuple[str, ...]:
    """The names of all options of a block."""
    return (*typed(kind), *NAMES.get(kind, "").split())


def homes(option: str) -> list[str]:
    """The blocks that have an option with this name."""
    return [kind for kind in kinds() if option in names(kind)]


def nearest(word: str, candidates: Iterable[str], before: str = "", after: str = "") -> str:
    """A suggestion for a misspelt word; empty if no candidate is similar."""
    found = closest(word, candidates, 0.7)
    return f"did you mean {before}{found}{after}?" if found else ""


def suggest_block(kind: str) -> str:
    return nearest(kind, kinds(), "[", "]")


def suggest_option(kind: str, option: str) -> str:
    """A suggestion for an unknown option: a similar name in this block, or another block that has the option."""
    others = homes(option)
    return nearest(option, names(kind)) or (f"it belongs in [{others[0]}]" if others else "")
