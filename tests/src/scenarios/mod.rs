//! What must hold on every cluster, by subject.
//!
//! A scenario gets the cluster and panics where something does not hold. `for_each_scenario!`
//! lists those that break nothing; `for_each_nemesis!` those that need a cluster of their own.

pub mod admin;
pub mod admin_access;
pub mod admin_cluster;
pub mod admin_groups;
pub mod admin_topics;
pub mod admin_transactions;
pub mod consume;
pub mod groups;
pub mod nemesis;

pub mod produce;
pub mod streams;
mod streams_nemesis;

/// Hands the list of scenarios that can share a cluster to a macro, by subject.
#[macro_export]
macro_rules! for_each_scenario {
    ($tests:ident) => {
        $tests! {
            produce {
                records_round_trip_uncompressed
                records_round_trip_with_every_codec
                a_record_larger_than_a_fetch_is_read
                a_record_that_is_too_large_is_refused
                an_unknown_topic_is_named
                a_topic_created_later_is_found
                keys_choose_partitions_as_in_java
                every_level_of_acks_is_written
                tasks_share_a_producer
            }
            admin {
                each_topic_has_a_result_of_its_own
                settings_are_described_and_changed
                offsets_are_listed_by_place_and_time
                records_are_deleted
                the_cluster_is_described
            }
            admin_topics {
                validation_changes_nothing
                replicas_are_placed_by_hand
                topics_are_deleted_by_id
                settings_tell_their_detail
                what_has_settings_is_listed
                offsets_are_listed_by_every_place
            }
            admin_groups {
                offsets_of_groups_are_kept_by_hand
                members_are_described_and_removed
                absent_share_and_streams_groups_are_named
            }
            admin_access {
                rules_come_and_go
                quotas_come_and_go
                scram_users_come_and_go
                tokens_need_authentication
            }
            admin_cluster {
                the_cluster_tells_who_belongs_to_it
                features_and_the_quorum_are_told
                partitions_move_and_elect
                folders_tell_what_is_in_them
                controllers_speak_for_themselves
            }
            admin_transactions {
                open_transactions_are_found_and_ended
                a_hanging_transaction_is_ended_by_hand
            }
            consume {
                reading_starts_at_the_end
                seeking_moves_the_position
                paused_partitions_wait
                nowhere_to_start_is_an_error
                a_position_left_behind_is_reset
                an_unknown_topic_is_named
                small_buffers_lose_nothing
                closing_ends_a_wait
            }
            groups {
                what_is_committed_is_resumed
                closing_commits_automatically
                offsets_keep_text_and_epoch
                members_come_and_go_eagerly
                members_come_and_go_cooperatively
                what_is_not_owned_any_more_is_not_committed
                a_stuck_member_loses_its_place
            }
            streams {
                words_are_counted
                a_restart_goes_on
                lost_state_is_restored
                instances_share_and_take_over
                internal_topics_are_javas
                a_missing_input_topic_is_an_error
                a_deleted_input_topic_is_an_error
                state_of_another_cluster_is_wiped
                state_of_a_recreated_changelog_is_wiped
                a_state_directory_in_use_is_an_error
                unreadable_records_are_met
                a_replaced_thread_goes_on
                an_error_closes_the_instance
                all_instances_shut_down_together
                states_can_be_awaited
                repartition_topics_are_purged
            }
        }
    };
}

/// Hands the list of scenarios that break their cluster to a macro.
#[macro_export]
macro_rules! for_each_nemesis {
    ($tests:ident) => {
        $tests! {
            nodes_are_killed_and_restarted
            leaders_move
            a_node_hangs
            clients_start_before_their_broker
            an_application_outlives_a_broker
            an_application_follows_its_leaders
        }
    };
}
