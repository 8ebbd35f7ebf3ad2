/*
 * Faults that can be planted, to prove that the regression suite finds them. A normal build plants
 * none and contains no trace of this. A planted build is made with -DDEFECT_name=1.
 */
#ifndef DEFECTS_H
#define DEFECTS_H

/* The value to use: `wrong` in a build that plants the defect, `right` in every other. */
#define DEFECT(name, wrong, right) (DEFECT_##name ? (wrong) : (right))

/* bootloader: a test update counts as confirmed whether the application confirmed it or not */
#ifndef DEFECT_ignore_missing_confirm
#define DEFECT_ignore_missing_confirm 0
#endif

/* bootloader: an update is installed although what it depends on is not there */
#ifndef DEFECT_ignore_unmet_dependency
#define DEFECT_ignore_unmet_dependency 0
#endif

/* bootloader: a dependency is met by higher versions only, not by exactly the version it asks for */
#ifndef DEFECT_equal_version_not_enough
#define DEFECT_equal_version_not_enough 0
#endif

/* bootloader: versions are compared by their major number if the minor numbers differ */
#ifndef DEFECT_minor_version_ignored
#define DEFECT_minor_version_ignored 0
#endif

/* bootloader: power lost between the updates of two images reverts the first one */
#ifndef DEFECT_updated_images_reverted
#define DEFECT_updated_images_reverted 0
#endif

/* bootloader: image_ok is never written, so the next boot undoes a permanent update */
#ifndef DEFECT_image_ok_never_written
#define DEFECT_image_ok_never_written 0
#endif

/* bootloader: the revert state is never cleared: each boot reverts again */
#ifndef DEFECT_revert_not_confirmed
#define DEFECT_revert_not_confirmed 0
#endif

/* bootloader: a test update is confirmed by the bootloader itself */
#ifndef DEFECT_test_confirmed_at_once
#define DEFECT_test_confirmed_at_once 0
#endif

/* bootloader: direct-xip: the primary slot is chosen whatever the versions are */
#ifndef DEFECT_primary_preferred
#define DEFECT_primary_preferred 0
#endif

/* bootloader: direct-xip with revert: an image that does not confirm itself is started for ever */
#ifndef DEFECT_tries_not_counted
#define DEFECT_tries_not_counted 0
#endif

/* bootloader: any signature is good that names the right key */
#ifndef DEFECT_signature_not_checked
#define DEFECT_signature_not_checked 0
#endif

/* bootloader: an image without a signature is good */
#ifndef DEFECT_signature_optional
#define DEFECT_signature_optional 0
#endif

/* bootloader: an image is not compared with its digest */
#ifndef DEFECT_digest_not_compared
#define DEFECT_digest_not_compared 0
#endif

/* bootloader: an image may reach into the trailer of its slot */
#ifndef DEFECT_trailer_not_counted
#define DEFECT_trailer_not_counted 0
#endif

/* bootloader: the primary is booted without looking at it */
#ifndef DEFECT_primary_not_validated
#define DEFECT_primary_not_validated 0
#endif

/* bootloader: an image that is flagged as not bootable is installed and booted */
#ifndef DEFECT_boots_not_bootable
#define DEFECT_boots_not_bootable 0
#endif

/* bootloader: direct-xip: an image built for the other slot is run */
#ifndef DEFECT_load_address_ignored
#define DEFECT_load_address_ignored 0
#endif

/* bootloader: images with a lower security counter than the stored one are good */
#ifndef DEFECT_stored_counter_ignored
#define DEFECT_stored_counter_ignored 0
#endif

/* bootloader: the security counter is stored before a tested image was confirmed */
#ifndef DEFECT_counter_raised_too_early
#define DEFECT_counter_raised_too_early 0
#endif

/* bootloader: an invalid image is not erased and is tried again at each boot */
#ifndef DEFECT_invalid_image_kept
#define DEFECT_invalid_image_kept 0
#endif

/* bootloader: a request without an image stays and blocks the next one */
#ifndef DEFECT_leftover_request_kept
#define DEFECT_leftover_request_kept 0
#endif

/* bootloader: a flag counts as set if it is anything but erased */
#ifndef DEFECT_any_value_sets_flag
#define DEFECT_any_value_sets_flag 0
#endif

/* bootloader: a trailer is valid when the first word of its magic is there */
#ifndef DEFECT_half_magic_accepted
#define DEFECT_half_magic_accepted 0
#endif

/* bootloader: a piece is noted as copied before it is */
#ifndef DEFECT_status_before_copy
#define DEFECT_status_before_copy 0
#endif

/* bootloader: an interrupted swap goes on behind the sector it was interrupted in */
#ifndef DEFECT_resumes_at_next_sector
#define DEFECT_resumes_at_next_sector 0
#endif

/* bootloader: an interrupted swap takes its size from the image that is in the primary now */
#ifndef DEFECT_swap_size_lost
#define DEFECT_swap_size_lost 0
#endif

/* bootloader: an interrupted swap goes on as a test, whatever it was */
#ifndef DEFECT_resumed_as_test
#define DEFECT_resumed_as_test 0
#endif

/* bootloader: a swap that was set up and not begun is forgotten */
#ifndef DEFECT_announced_swap_ignored
#define DEFECT_announced_swap_ignored 0
#endif

/* bootloader: offset: after power loss headers are read from where they were at first */
#ifndef DEFECT_header_from_wrong_slot
#define DEFECT_header_from_wrong_slot 0
#endif

/* bootloader: the trailer gets the second half of its magic only when the swap is complete */
#ifndef DEFECT_magic_half_written
#define DEFECT_magic_half_written 0
#endif

/* bootloader: a swap is noted as complete when it begins */
#ifndef DEFECT_copy_done_too_early
#define DEFECT_copy_done_too_early 0
#endif

/* bootloader: a half-written copy_done is left as it is, so the image is never reverted */
#ifndef DEFECT_torn_end_ignored
#define DEFECT_torn_end_ignored 0
#endif

/* bootloader: move, offset: the secondary's trailer is erased before the primary's says what to do */
#ifndef DEFECT_request_erased_too_early
#define DEFECT_request_erased_too_early 0
#endif

/* bootloader: move, offset: a revert rewrites the trailer that asks for it, without saying so elsewhere */
#ifndef DEFECT_revert_not_announced
#define DEFECT_revert_not_announced 0
#endif

/* bootloader: overwrite-only: the request is erased before the primary is complete */
#ifndef DEFECT_secondary_erased_too_early
#define DEFECT_secondary_erased_too_early 0
#endif

/* bootloader: scratch: the trailer there is erased before the primary has one */
#ifndef DEFECT_scratch_erased_too_early
#define DEFECT_scratch_erased_too_early 0
#endif

/* bootloader: scratch: its trailer is given up before the primary's last sectors are written */
#ifndef DEFECT_scratch_withdrawn_too_early
#define DEFECT_scratch_withdrawn_too_early 0
#endif

/* bootloader: scratch: a status of another image is taken for one's own */
#ifndef DEFECT_scratch_of_any_image
#define DEFECT_scratch_of_any_image 0
#endif

/* bootloader: recovery takes each piece of an upload for the next one, whatever its offset */
#ifndef DEFECT_recovery_offset_ignored
#define DEFECT_recovery_offset_ignored 0
#endif

/* bootloader: a reset that has asked for recovery asks for it at each boot that follows, too */
#ifndef DEFECT_recovery_mark_kept
#define DEFECT_recovery_mark_kept 0
#endif

/* application: reports success for an update that it did not carry out */
#ifndef DEFECT_false_success
#define DEFECT_false_success 0
#endif

/* application: confirms the images in use before it has tested itself */
#ifndef DEFECT_confirms_before_self_test
#define DEFECT_confirms_before_self_test 0
#endif

/* application: writes the confirmation one write unit below its place in the trailer */
#ifndef DEFECT_wrong_image_ok_offset
#define DEFECT_wrong_image_ok_offset 0
#endif

/* application: forgets over the reset that it asked for an update */
#ifndef DEFECT_forgets_record
#define DEFECT_forgets_record 0
#endif

/* application: the result of the last update still stands when the next one begins */
#ifndef DEFECT_stale_result
#define DEFECT_stale_result 0
#endif

/* application: takes Update for legal when nothing was downloaded */
#ifndef DEFECT_update_in_idle
#define DEFECT_update_in_idle 0
#endif

/* application: a package whose digest is wrong counts as downloaded */
#ifndef DEFECT_ignores_integrity
#define DEFECT_ignores_integrity 0
#endif

/* application: answers a reset (package of one byte 00, or empty URI) without doing it */
#ifndef DEFECT_reset_keeps_state
#define DEFECT_reset_keeps_state 0
#endif

/* application: takes blocks of a pushed package in any order for the next one */
#ifndef DEFECT_takes_any_block
#define DEFECT_takes_any_block 0
#endif

/* application: carries out repeated requests again instead of repeating the answer */
#ifndef DEFECT_no_deduplication
#define DEFECT_no_deduplication 0
#endif

/* application: leaves the trailer of the last update in the slot that takes the next one */
#ifndef DEFECT_keeps_old_trailer
#define DEFECT_keeps_old_trailer 0
#endif

/* application: a download that a reset has cut off counts as downloaded */
#ifndef DEFECT_unfinished_counts_as_downloaded
#define DEFECT_unfinished_counts_as_downloaded 0
#endif

/* application: a cancelled download is back after a reset */
#ifndef DEFECT_cancel_not_recorded
#define DEFECT_cancel_not_recorded 0
#endif

/* application: reports success while the image is still on trial */
#ifndef DEFECT_success_before_confirm
#define DEFECT_success_before_confirm 0
#endif

/* application: concludes the update of its first component only */
#ifndef DEFECT_first_component_settled_only
#define DEFECT_first_component_settled_only 0
#endif

/* application: writes its record at each start, whether it has changed or not */
#ifndef DEFECT_record_at_each_start
#define DEFECT_record_at_each_start 0
#endif

/* application: writes its record with each block that it receives */
#ifndef DEFECT_record_with_each_block
#define DEFECT_record_with_each_block 0
#endif

/* application: asks for the previous images whenever the watchdog has reset it */
#ifndef DEFECT_crash_undoes_update
#define DEFECT_crash_undoes_update 0
#endif

/* application: asks for permanent updates, so that nothing is ever taken back */
#ifndef DEFECT_asks_for_good
#define DEFECT_asks_for_good 0
#endif

/* application: installs everything that was downloaded, whatever was asked for */
#ifndef DEFECT_ignores_instances
#define DEFECT_ignores_instances 0
#endif

/* application: takes packages that are larger than the slot */
#ifndef DEFECT_slot_size_ignored
#define DEFECT_slot_size_ignored 0
#endif

/* application: takes packages with bytes behind the image */
#ifndef DEFECT_rest_of_package_ignored
#define DEFECT_rest_of_package_ignored 0
#endif

/* application: takes a download while the previous image may still be needed */
#ifndef DEFECT_download_while_updating
#define DEFECT_download_while_updating 0
#endif

/* application: erases sectors that are blank already */
#ifndef DEFECT_erases_blank_sectors
#define DEFECT_erases_blank_sectors 0
#endif

/* application: does not erase what an earlier download has left */
#ifndef DEFECT_old_sectors_kept
#define DEFECT_old_sectors_kept 0
#endif

/* application: goes on with a download behind the sector in which it was cut off */
#ifndef DEFECT_torn_sector_trusted
#define DEFECT_torn_sector_trusted 0
#endif

/* application: fetches from the beginning again what a reset has cut off */
#ifndef DEFECT_pull_starts_over
#define DEFECT_pull_starts_over 0
#endif

/* application: does not repeat lost requests */
#ifndef DEFECT_requests_not_repeated
#define DEFECT_requests_not_repeated 0
#endif

/* application: tests itself, but not the content of data images */
#ifndef DEFECT_data_not_tested
#define DEFECT_data_not_tested 0
#endif

/* application: reports the version in the slot that is not in use */
#ifndef DEFECT_version_of_other_slot
#define DEFECT_version_of_other_slot 0
#endif

/* application: takes each piece of an SMP upload for the next one, whatever its offset */
#ifndef DEFECT_smp_offset_ignored
#define DEFECT_smp_offset_ignored 0
#endif

/* application: answers an SMP confirm, and writes nothing */
#ifndef DEFECT_smp_confirm_not_written
#define DEFECT_smp_confirm_not_written 0
#endif

/* application: puts each SMP upload into the slot of image 0 */
#ifndef DEFECT_smp_image_number_ignored
#define DEFECT_smp_image_number_ignored 0
#endif

#endif
