"""
An ``Element`` as the GLUE2 document that clients of ARC read, ``info.xml``.

It has no endpoint: ARC's client adds the one of the control directory, and would see two equal targets otherwise.

Source: GLUE 2.0 XML rendering; ARC 6.17, info.xml, for what a broker needs.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from arex.xmltext import legal
from infoprovider.model import Element, Share

_NAMESPACE: Final = "http://schemas.ogf.org/glue/2009/03/spec_2.0_r1"
_VALIDITY_S: Final = 10800


def document(element: Element) -> bytes:
    """The whole document, UTF-8."""
    root = etree.Element("InfoRoot")
    domains = etree.SubElement(root, f"{{{_NAMESPACE}}}Domains", nsmap={None: _NAMESPACE})  # type: ignore[dict-item]
    domain = _child(domains, "AdminDomain", BaseType="Domain")
    _texts(domain, ID=f"urn:ad:{element.domain}", Name=element.domain, Distributed="false")
    service = _child(_child(domain, "Services"), "ComputingService", BaseType="Service", **_validity(element))
    _texts(
        service,
        ID=_urn(element, "ComputingService"),
        Name=element.hostname,
        Capability="executionmanagement.jobexecution",
        Type="org.nordugrid.arex",
        QualityLevel="production",
        Complexity=f"endpoint=0,share={len(element.shares)},resource=1",
        TotalJobs=str(sum(element.states.values())),
        RunningJobs=str(element.jobs("INLRMS")),
        WaitingJobs=str(element.jobs("SUBMIT")),
        StagingJobs=str(element.jobs("PREPARING", "FINISHING")),
        PreLRMSWaitingJobs=str(element.jobs("ACCEPTED", "PREPARING", "SUBMIT")),
    )
    for share in element.shares:
        _share(service, element, share)
    _resources(service, element)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _share(service: etree._Element, element: Element, share: Share) -> None:
    node = _child(service, "ComputingShare", BaseType="Share", **_validity(element))
    _texts(node, ID=_urn(element, "ComputingShare", share.name), Name=share.name)
    if share.comment:
        _texts(node, Description=share.comment)
    _texts(node, MappingQueue=share.name)
    limits = {
        "MaxWallTime": share.max_walltime_s,
        "MaxCPUTime": share.max_cputime_s,
        "MaxSlotsPerJob": share.max_slots,
        "MaxMainMemory": share.max_memory_mb,
    }
    _texts(node, **{name: str(value) for name, value in limits.items() if value is not None})
    _texts(node, ServingState="production" if element.accepts else "draining")
    associations = _child(node, "Associations")
    _texts(associations, ExecutionEnvironmentID=_urn(element, "ExecutionEnvironment", "nodes"))


def _resources(service: etree._Element, element: Element) -> None:
    manager = _child(service, "ComputingManager", BaseType="Manager", **_validity(element))
    _texts(
        manager,
        ID=_urn(element, "ComputingManager"),
        Name=element.lrms,
        ProductName=element.lrms,
        TotalSlots=str(element.slots),
        Homogeneous="true",
        WorkingAreaShared="true",
        WorkingAreaLifeTime=str(element.lifetime_s),
    )
    if element.free_gb is not None:
        _texts(manager, WorkingAreaFree=str(element.free_gb))
    nodes = element.nodes
    environment = _child(_child(manager, "ExecutionEnvironments"), "ExecutionEnvironment", **_validity(element))
    _texts(
        environment,
        ID=_urn(element, "ExecutionEnvironment", "nodes"),
        Name="nodes",
        Platform=nodes.architecture,
        LogicalCPUs=str(nodes.cores),
        CPUModel=nodes.cpu_model,
        MainMemorySize=str(nodes.memory_mb),
        OSFamily=nodes.os_family,
        OSName=nodes.os_name,
        OSVersion=nodes.os_version,
        ConnectivityIn="false",
        ConnectivityOut="true",
    )
    applications = _child(manager, "ApplicationEnvironments")
    for name, version in element.runtimes:
        application = _child(applications, "ApplicationEnvironment", **_validity(element))
        _texts(application, ID=_urn(element, "ApplicationEnvironment", f"{name}-{version}"), AppName=name)
        if version:
            _texts(application, AppVersion=version)


def _child(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{_NAMESPACE}}}{name}", attributes)


def _texts(parent: etree._Element, **values: str) -> None:
    for name, value in values.items():
        _child(parent, name).text = legal(value)


def _validity(element: Element) -> dict[str, str]:
    return {"CreationTime": f"{element.created:%Y-%m-%dT%H:%M:%SZ}", "Validity": str(_VALIDITY_S)}


def _urn(element: Element, kind: str, name: str = "") -> str:
    return f"urn:ogf:{kind}:{element.hostname}{f':{name}' if name else ''}"
