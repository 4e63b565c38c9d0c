"""Deliberate faults of the way of a photo; see `tests/reliability/mutations.py`."""

from __future__ import annotations

#: (file, suite, rows of (name, old, new, tests)). All run on SQLite.
ROWS: tuple[tuple[str, str, str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "shared/files/uploads.py",
        "files/test_uploads",
        "sqlite",
        (
            (
                "an overlap is kept twice",
                "skip=offset - span.first, most=span.last + 1 - offset",
                "skip=0, most=span.last + 1 - span.first",
                "an_overlap_is_passed_over",
            ),
            (
                "a body is taken beyond its end",
                "            rest = rest[: self._most - self.size]\n",
                "",
                "a_body_that_goes_on_is_taken_only_as_far_as_it_was_announced",
            ),
            (
                "a piece that lost the race stays behind",
                "        if not mine:\n            self._files.delete([name])\n",
                "",
                "two_phones_that_send_one_photo_at_once_make_one",
            ),
            (
                "two pieces for one place are both kept",
                '            if have["received"] != piece.offset:\n                break\n',
                "",
                "two_phones_that_send_one_photo_at_once_make_one",
            ),
            (
                "tiny pieces become objects",
                "if piece.size < min(LEAST_PIECE, span.total - offset):",
                "if piece.size < 1:",
                "what_broke_off_early_is_not_kept_as_an_object_of_its_own",
            ),
            (
                "an upload that rested too long goes on",
                '        if blob.fields["look_at"] <= now_ms:\n            raise _expired()\n'
                "        offset",
                "        offset",
                "an_upload_that_rests_too_long_is_gone_and_a_new_ticket_opens_it",
            ),
            (
                "strangers see photos",
                "        if not self._catalog.may(role, Action.READ):\n            raise _no_file()\n",
                "",
                "another_team_learns_nothing_of_a_photo",
            ),
            (
                "photos of deleted records are shown",
                "if have is None or have.fields.get(record.DELETED) is not None:",
                "if have is None:",
                "a_deleted_record_shows_no_photos_until_it_is_brought_back",
            ),
            (
                "half a file is complete",
                'if there is None or there.size != blob.fields["bytes"]:',
                "if False:",
                "completing_what_is_not_whole_says_what_is_missing",
            ),
        ),
    ),
    (
        "shared/files/tickets.py",
        "files/test_uploads",
        "sqlite",
        (
            (
                "a ready photo is replaced under its key",
                'elif file.fields.get("sha256") != ask.sha256 and file.fields["state"] == READY:',
                "elif False:",
                "a_new_photo_under_the_key_of_a_ready_one_is_refused",
            ),
            (
                "doctors send photos",
                "        if not self._catalog.may(role, Action.WRITE):\n"
                '            raise Refused(None, "not_allowed", "Your role may not add files here.")\n',
                "",
                "a_doctor_looks_and_does_not_send",
            ),
            (
                "a record has files without end",
                "        if self._counts[subject] >= most:",
                "        if False:",
                "a_record_may_have_so_many_files",
            ),
            (
                "a passing refusal is for ever",
                'have["state"] == REFUSED and have.get("code") not in PASSING',
                'have["state"] == REFUSED',
                "a_file_of_another_hash_is_refused_and_may_be_sent_again",
            ),
            (
                "a photo that is refused unseen is not told to its record",
                'self._settled.setdefault(subject, {})[place.key] = ""',
                "pass",
                "a_photo_that_is_refused_unseen_is_told_to_its_record",
            ),
            (
                "a refusal takes the place of a photo",
                "        if file is not None:\n"
                '            return file if file.fields["state"] == REFUSED else None\n',
                "",
                "a_refusal_does_not_take_the_place_of_a_photo",
            ),
            (
                "a photo that is made good in the same breath is not waited for",
                'self._settled.get(subject, {}).pop(fields["key"], None)',
                "pass",
                "a_photo_that_is_announced_twice_counts_where_it_makes_sense",
            ),
            (
                "half a surrogate is sent back",
                "        if isinstance(named.get(name), str) and _writable(named[name])",
                "        if isinstance(named.get(name), str)",
                "nonsense_among_announced_photos_holds_up_no_other",
            ),
            (
                "a photo that is here is not told to its record",
                "self._settled.setdefault(subject, {}).update([news])",
                "pass",
                "a_photo_that_the_team_has_is_sent_by_nobody_again",
            ),
        ),
    ),
    (
        "shared/files/file.py",
        "files/test_uploads",
        "sqlite",
        (
            (
                "types are compared letter by letter",
                '    plain = said.partition(";")[0].strip().lower()',
                "    plain = said",
                "a_type_is_understood_as_phones_write_it",
            ),
            (
                "one key is two, as phones spell it",
                'return unicodedata.normalize("NFC", key)',
                "return key",
                "files/test_cases:keys_that_are_spelt_differently_name_the_same_photo",
            ),
            (
                "what one team has, all have",
                'return Key(BLOBS, _hash(f"{scope_id}\\n{sha256}")[:40])',
                "return Key(BLOBS, _hash(sha256)[:40])",
                "another_team_learns_nothing_of_a_photo",
            ),
        ),
    ),
    (
        "shared/files/checking.py",
        "files/test_uploads",
        "sqlite",
        (
            (
                "the hash is not compared",
                'if digest.hexdigest() != have["sha256"]:',
                "if False:",
                "a_file_of_another_hash_is_refused_and_may_be_sent_again",
            ),
            (
                "nobody rings when the last photo is there",
                "        ring(self._doorbell, self._bells.pop(job.id, ()))",
                "        pass",
                "files/test_cases:a_red_case_is_read_as_soon_as_its_last_photo_is_there",
            ),
        ),
    ),
    (
        "shared/files/picture.py",
        "files/test_field_photos",
        "",
        (
            (
                "a JPEG that breaks off is called whole",
                "    return plain != noisy or not jpeg.promised",
                "    return False",
                "whatever_follows_where_a_jpeg_breaks_off_it_is_incomplete",
            ),
            (
                "a JPEG of nothing but grey is shown",
                "    if jpeg.scans == 1 and plain[0] != noisy[0]:",
                "    if False:",
                "a_jpeg_of_which_nothing_can_be_shown_is_broken",
            ),
        ),
    ),
    (
        "shared/files/container.py",
        "files/test_field_photos",
        "",
        (
            (
                "scans that never came are not missed",
                "        return not any(self._open.values())",
                "        return True",
                "a_progressive_jpeg_whose_last_scans_never_came_is_incomplete",
            ),
            (
                "zeros of a broken card are taken for the picture",
                '    return coded[: len(coded.rstrip(b"\\x00\\xff")) + 8]',
                "    return coded",
                "whatever_follows_where_a_jpeg_breaks_off_it_is_incomplete",
            ),
            (
                "XMP is not asked which way is up",
                "return _exif_turned(exif) or (int(found[1]) if found else 1)",
                "return _exif_turned(exif) or 1",
                "a_jpeg_of_the_field_is_shown_as_it_was_meant",
            ),
        ),
    ),
    (
        "shared/files/cleaning.py",
        "files/test_uploads",
        "sqlite",
        (
            (
                "abandoned uploads stay for ever",
                "            return self._abandon(blob)",
                "            return 0",
                "an_upload_that_rests_too_long_is_gone_and_a_new_ticket_opens_it",
            ),
            (
                "bytes that nobody shows stay for ever",
                "        if not self._shown(blob):\n            return self._remove(blob)\n"
                "        if state",
                "        if state",
                "files/test_cases:purging_a_case_removes_its_photos_for_good",
            ),
            (
                "bytes that another record shows are removed",
                "        if not self._shown(blob):\n            return self._remove(blob)\n"
                "        if state",
                "        if state == READY:\n            return self._remove(blob)\n        if state",
                "files/test_cases:purging_a_case_removes_its_photos_for_good",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/photos.py",
        "files/test_cases",
        "sqlite",
        (
            (
                "late photos are never looked at",
                "    if job.state == jobs.QUEUED or not news:",
                "    if True:",
                "late_photos_make_the_case_be_read_once_more",
            ),
            (
                "the case is read before its last photo",
                "if job_id is None or still_awaited(keys, photos) or (signed and not news):",
                "if job_id is None or (signed and not news):",
                "a_red_case_is_read_as_soon_as_its_last_photo_is_there",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/waiting_for_photos.py",
        "files/test_cases",
        "sqlite",
        (
            (
                "a red case does not wait for its photos",
                "    if still_awaited(keys, photos):",
                "    if False:",
                "a_red_case_is_read_as_soon_as_its_last_photo_is_there",
            ),
            (
                "a case waits for its photos for ever",
                "now_ms + wait_ms",
                "now_ms + 10**13",
                "a_case_whose_photos_are_overdue_is_read_with_what_is_there_and_says_so",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/tables.py",
        "files/test_cases",
        "sqlite",
        (
            (
                "an older list of photos hides those that are there",
                "return [*named, *ready.values()]",
                "return named",
                "a_photo_stays_in_the_case_when_a_colleague_s_phone_sends_an_older_list "
                "a_photo_that_no_row_ever_named_is_shown",
            ),
            (
                "an edit forgets the second reading",
                'if known == job_id or known.startswith(f"{job_id}~"):',
                "if known == job_id:",
                "late_photos_make_the_case_be_read_once_more",
            ),
        ),
    ),
    (
        "shared/products/dermadetect/analyse.py",
        "files/test_cases",
        "sqlite",
        (
            (
                "missing photos are not counted",
                "images_missing=known_photos(keys, photos) - len(images),",
                "images_missing=0,",
                "a_case_whose_photos_are_overdue_is_read_with_what_is_there_and_says_so",
            ),
        ),
    ),
    (
        "shared/records/record.py",
        "files/test_cases",
        "sqlite",
        (
            (
                "photos stay behind when their patient moves",
                'LOGS = ("conflicts", "quarantine", "reviews", "files", "readings")',
                'LOGS = ("conflicts", "quarantine", "reviews", "readings")',
                "moving_a_patient_takes_the_photos_along purging_a_case_removes_its_photos_for_good",
            ),
        ),
    ),
)
