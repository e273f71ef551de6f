"""The early prototype's defects, each with the test that fails without its mending."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# By number: (file, test).
DEFECTS: dict[str, list[tuple[str, str]]] = {
    "D-1": [("kcpsyncer/controllers/test_cluster_registration.py", "test_ready")],
    "D-2": [
        ("kcpsyncer/test_join_manifest.py", "test_rights_in_the_physical_cluster_cover_what_is_done_there"),
        ("kcpsyncer/test_agent_process.py", "test_from_joining_to_leaving"),
    ],
    "D-3": [("kcpsyncer/test_controller_process.py", "test_from_registration_to_status")],
    "D-4": [("kcpsyncer/test_controller_process.py", "test_from_registration_to_status")],
    "D-5": [
        ("kcpsyncer/test_kube_client.py", "test_verbs"),
        ("kcpsyncer/test_synchronisation.py", "test_what_happened_while_nobody_looked"),
    ],
    "D-6": [("kcpsyncer/test_synchronisation.py", "test_what_happened_while_nobody_looked")],
    "D-7": [
        ("kcpsyncer/test_workloads.py", "test_fifteen_over_two"),
        ("kcpsyncer/placement/test_leaf_index.py", "test_namesakes_have_leafs_of_their_own"),
    ],
    "D-8": [("kcpsyncer/test_workloads.py", "test_one_cluster_is_no_special_case")],
    "D-9": [("kcpsyncer/controllers/test_api_negotiation.py", "test_available_means_compatible")],
    "D-10": [
        ("kcpsyncer/controllers/test_api_negotiation.py", "test_the_order_of_arrival_does_not_matter"),
        ("kcpsyncer/controllers/test_api_negotiation.py", "test_an_upgraded_cluster_widens_what_is_published"),
    ],
    "D-11": [
        (
            "kcpsyncer/controllers/test_api_negotiation.py",
            "test_publishing_can_be_taken_back_while_there_are_no_objects",
        ),
        ("kcpsyncer/controllers/test_api_negotiation.py", "test_the_last_cluster_does_not_take_the_objects_with_it"),
        ("kcpsyncer/controllers/test_api_negotiation.py", "test_a_published_definition_that_was_deleted_comes_back"),
    ],
    "D-12": [
        ("kcpsyncer/test_agent_pool.py", "test_only_a_change_starts_an_agent_anew"),
        ("kcpsyncer/test_synchronisation.py", "test_what_happened_while_nobody_looked"),
    ],
    "D-13": [("kcpsyncer/test_foreign_apis.py", "test_an_upgrade_is_noticed_by_the_hash")],
    "D-14": [
        ("kcpsyncer/controllers/test_import_changes.py", "test_what_is_no_longer_served_goes"),
        ("kcpsyncer/test_foreign_apis.py", "test_half_an_answer_is_none"),
    ],
    "D-15": [("kcpsyncer/controllers/test_import_changes.py", "test_a_new_api_is_imported")],
    "D-16": [("kcpsyncer/test_agent_pool.py", "test_namesakes_are_different_clusters")],
    "D-17": [("kcpsyncer/test_conditions.py", "test_a_transition_time_moves_only_with_the_status")],
    "D-18": [
        ("kcpsyncer/test_join_manifest.py", "test_no_administrator_s_token_leaves"),
        ("kcpsyncer/test_agent_process.py", "test_from_joining_to_leaving"),
    ],
    "D-19": [("kcpsyncer/test_controller_process.py", "test_urls")],
    "D-20": [
        ("kcpfront/routing/test_wildcard_watch.py", "test_events_of_all_shards_in_the_order_of_their_revisions"),
        ("kcpfront/routing/test_wildcard_list.py", "test_all_logical_clusters_of_all_shards"),
    ],
    "D-21": [
        ("kcpfront/routing/test_router.py", "test_what_is_no_list_of_many_logical_clusters_is_refused"),
        ("kcpfront/routing/test_wildcard_list.py", "test_a_type_that_nobody_serves"),
    ],
    "D-22": [
        ("kcpshard/authorization/test_authorizer.py", ""),
        ("kcpshard/authorization/test_inheritance.py", "test_nearer_names_hide_farther_ones_and_local_ones_all"),
        ("kcpshard/verbs/test_inheritance.py", "test_what_is_handed_down_and_only_when_it_is_new"),
    ],
    "D-23": [
        ("kcpshard/controllers/test_garbage_collection.py", ""),
        ("kcpshard/controllers/test_namespace_deletion.py", ""),
        ("kcpshard/controllers/test_resource_quota.py", ""),
    ],
    "D-24": [("kcpshard/definitions/test_custom_catalog.py", ""), ("kcpshard/definitions/test_openapi_worker.py", "")],
    "D-25": [
        ("kcpsyncer/test_workloads.py", "test_fifteen_over_two"),
        ("kcpsyncer/test_workloads.py", "test_one_cluster_is_no_special_case"),
        ("kcpsyncer/placement/test_leafs.py", "test_what_an_object_asks_for"),
        ("kcpsyncer/placement/test_workload_step.py", "test_without_clusters_it_says_so_and_waits"),
    ],
    "D-26": [
        ("kcpsyncer/test_placed_objects.py", "test_only_what_means_something_there_goes_down"),
        ("kcpsyncer/test_resource_sync.py", "test_what_is_not_ours_is_left_alone"),
        ("kcpsyncer/test_namespace_mapping.py", "test_names_are_labels_and_differ_for_different_places"),
    ],
    "D-27": [("kcpsyncer/test_logical_cluster.py", "test_deregistering_takes_everything_along")],
    "D-28": [
        ("kcpshard/schema/test_compatibility.py", "test_rule"),
        ("kcpshard/schema/test_compatibility.py", "test_what_the_lcd_accepts_both_accept"),
    ],
    "D-29": [
        ("kcpshard/schema/test_openapi_import.py", "test_single_facts"),
        ("kcpshard/schema/test_openapi_import.py", "test_ports_are_a_map_whose_protocol_has_a_default"),
        ("kcp/test_crd_pull.py", "test_what_is_not_there_is_an_error"),
    ],
    "D-30": [("kcp/test_start.py", ""), ("kcp/test_supervisor.py", "")],
    "D-31": [
        ("kcpsyncer/test_agent.py", "test_a_cluster_that_does_not_answer_is_told"),
        ("kcpsyncer/test_logical_cluster.py", "test_a_kubeconfig_that_is_refused_is_told"),
    ],
    "D-32": [("kcpsyncer/test_work_queue.py", "test_a_key_is_done_once_however_often_it_is_named")],
}


def test_each_defect_has_its_row() -> None:
    assert list(DEFECTS) == [f"D-{number}" for number in range(1, 33)]


@pytest.mark.parametrize("number", DEFECTS)
def test_the_test_exists(number: str) -> None:
    """An empty name stands for all the tests of a file."""
    for path, name in DEFECTS[number]:
        tree = ast.parse((ROOT / path).read_text())
        found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in found if name else any(each.startswith("test_") for each in found), path
